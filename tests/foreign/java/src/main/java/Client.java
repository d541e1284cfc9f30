import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.context.Context;
import io.opentelemetry.sdk.extension.trace.jaeger.sampler.JaegerRemoteSampler;
import io.opentelemetry.sdk.trace.IdGenerator;
import io.opentelemetry.sdk.trace.samplers.Sampler;
import io.opentelemetry.sdk.trace.samplers.SamplingDecision;
import java.time.Duration;
import java.util.List;

/** Decides on root spans by the stock sampler; each line says how many of 500 it kept, by operation. */
public final class Client {
  public static void main(String[] arguments) throws InterruptedException {
    Sampler sampler =
        JaegerRemoteSampler.builder()
            .setEndpoint(arguments[0])
            .setServiceName("foreign")
            .setPollingInterval(Duration.ofMillis(200))
            .setInitialSampler(Sampler.alwaysOff())
            .build();
    while (true) {
      System.out.printf("{\"GET /\": %d, \"POST /pay\": %d}%n", kept(sampler, "GET /"), kept(sampler, "POST /pay"));
      Thread.sleep(200);
    }
  }

  private static int kept(Sampler sampler, String operation) {
    int count = 0;
    for (int turn = 0; turn < 500; turn++) {
      String traceId = IdGenerator.random().generateTraceId();
      SamplingDecision decision =
          sampler
              .shouldSample(Context.root(), traceId, operation, SpanKind.SERVER, Attributes.empty(), List.of())
              .getDecision();
      count += decision == SamplingDecision.RECORD_AND_SAMPLE ? 1 : 0;
    }
    return count;
  }
}
