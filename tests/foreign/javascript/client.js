// Decides on root spans by the stock sampler; each line says how many of 500 it kept, by operation.
import { randomBytes } from "node:crypto";
import { ROOT_CONTEXT, SpanKind } from "@opentelemetry/api";
import { JaegerRemoteSampler } from "@opentelemetry/sampler-jaeger-remote";
import { AlwaysOffSampler, SamplingDecision } from "@opentelemetry/sdk-trace-base";

const [endpoint] = process.argv.slice(2);
const sampler = new JaegerRemoteSampler({
  endpoint,
  serviceName: "foreign",
  poolingInterval: 200,
  initialSampler: new AlwaysOffSampler(),
});

function kept(operation) {
  let count = 0;
  for (let turn = 0; turn < 500; turn++) {
    const traceId = randomBytes(16).toString("hex");
    const { decision } = sampler.shouldSample(ROOT_CONTEXT, traceId, operation, SpanKind.SERVER, {}, []);
    count += decision === SamplingDecision.RECORD_AND_SAMPLED;
  }
  return count;
}

setInterval(() => console.log(JSON.stringify({ "GET /": kept("GET /"), "POST /pay": kept("POST /pay") })), 200);
