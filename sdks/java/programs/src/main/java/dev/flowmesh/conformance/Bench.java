package dev.flowmesh.conformance;

import static dev.flowmesh.conformance.Values.object;

import com.fasterxml.jackson.databind.JsonNode;
import dev.flowmesh.sdk.FlowmeshClient;
import dev.flowmesh.sdk.Session;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/** The verb {@code bench}. */
final class Bench {
  private final long cpuNs = cpuNs();
  private final long beganNs = System.nanoTime();

  private Bench() {}

  static Object latency(FlowmeshClient client, String workflow, int count) throws Exception {
    double[] took = new double[count];
    for (int n = 0; n < count; n++) {
      long at = System.nanoTime();
      client.run(workflow, object("n", n), JsonNode.class);
      took[n] = (System.nanoTime() - at) / 1e6;
    }
    Arrays.sort(took);
    return object("p50Ms", took[count / 2], "p99Ms", took[count * 99 / 100]);
  }

  static Object starts(FlowmeshClient client, String workflow, int count) throws Exception {
    Bench bench = new Bench();
    try (Session session = client.session()) {
      List<Session.Call> calls =
          IntStream.range(0, count)
              .mapToObj(n -> session.start(workflow, object("n", n)))
              .toList();
      for (Session.Call call : calls) {
        call.result(JsonNode.class);
      }
    }
    return bench.rate(count, bench.beganNs);
  }

  static Object tasks(Ledger ledger, int count) throws InterruptedException {
    Bench bench = new Bench();
    return bench.rate(count, ledger.reached(count));
  }

  private Object rate(int count, long sinceNs) {
    double seconds = (System.nanoTime() - sinceNs) / 1e9;
    return object("perSecond", count / seconds, "cpuSeconds", (cpuNs() - cpuNs) / 1e9);
  }

  private static long cpuNs() {
    Duration used = ProcessHandle.current().info().totalCpuDuration().orElse(Duration.ZERO);
    return used.toNanos();
  }
}
