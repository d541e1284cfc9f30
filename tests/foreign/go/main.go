// Decides on root spans by the stock sampler; each line says how many of 500 it kept, by operation.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"go.opentelemetry.io/contrib/samplers/jaegerremote"
	"go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"
)

func kept(sampler trace.Sampler, operation string) int {
	count := 0
	for turn := 0; turn < 500; turn++ {
		var id api.TraceID
		if _, err := rand.Read(id[:]); err != nil {
			panic(err)
		}
		result := sampler.ShouldSample(trace.SamplingParameters{
			ParentContext: context.Background(), TraceID: id, Name: operation, Kind: api.SpanKindServer,
		})
		if result.Decision == trace.RecordAndSample {
			count++
		}
	}
	return count
}

func main() {
	sampler := jaegerremote.New("foreign",
		jaegerremote.WithSamplingServerURL(os.Args[1]+"/sampling"),
		jaegerremote.WithSamplingRefreshInterval(200*time.Millisecond),
		jaegerremote.WithInitialSampler(trace.NeverSample()),
	)
	for {
		line, _ := json.Marshal(map[string]int{"GET /": kept(sampler, "GET /"), "POST /pay": kept(sampler, "POST /pay")})
		fmt.Println(string(line))
		time.Sleep(200 * time.Millisecond)
	}
}
