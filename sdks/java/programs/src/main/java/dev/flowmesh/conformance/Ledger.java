package dev.flowmesh.conformance;

import static dev.flowmesh.conformance.Values.object;

import com.fasterxml.jackson.databind.JsonNode;
import dev.flowmesh.sdk.FlowmeshClient;
import dev.flowmesh.sdk.FlowmeshException;
import dev.flowmesh.sdk.worker.Handler;
import dev.flowmesh.sdk.worker.Task;
import dev.flowmesh.sdk.worker.TaskFailure;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The calls of the handlers of one worker. */
final class Ledger {
  private final FlowmeshClient client;
  private final List<Map<String, Object>> calls = new ArrayList<>();
  private int ended;
  private long beganNs;

  Ledger(FlowmeshClient client) {
    this.client = client;
  }

  Handler<JsonNode> handler(String behavior) {
    return (input, task) -> {
      Map<String, Object> call =
          object(
              "taskType", task.taskType(), "execution", task.executionId(), "node", task.node(),
              "attempt", task.attempt(), "key", task.idempotencyKey(), "state", "running");
      synchronized (this) {
        calls.add(call);
        beganNs = beganNs == 0 ? System.nanoTime() : beganNs;
      }
      try {
        return act(behavior, input, task);
      } finally {
        synchronized (this) {
          ended++;
          call.put("state", task.canceled() ? "canceled" : "ended");
        }
      }
    };
  }

  private Object act(String behavior, JsonNode in, Task task) throws Exception {
    long ms = in.path("ms").asLong();
    switch (behavior) {
      case "echo":
        return in;
      case "nothing":
        return null;
      case "context":
        return object(
            "attempt", task.attempt(), "key", task.idempotencyKey(),
            "execution", task.executionId(), "workflow", task.workflowId(),
            "namespace", task.namespace(), "node", task.node(), "taskType", task.taskType(),
            "traceparent", task.traceparent(), "timeoutMs", task.timeout().toMillis());
      case "fail":
        throw new TaskFailure(
            in.path("class").asText(),
            in.path("message").asText(),
            Duration.ofMillis(in.path("retryAfterMs").asLong()),
            in.has("details") ? in.get("details") : null);
      case "final":
        throw TaskFailure.nonRetryable(in.path("message").asText());
      case "error":
        throw new IllegalStateException(in.path("message").asText());
      case "panic":
        throw new Error("panic on purpose");
      case "flaky":
        if (task.attempt() < in.path("attempts").asInt()) {
          throw new TaskFailure(in.path("class").asText(), "attempt " + task.attempt());
        }
        return object("attempt", task.attempt(), "key", task.idempotencyKey());
      case "sleep":
        Thread.sleep(ms);
        return object("ms", ms);
      case "stubborn":
        stay(ms);
        return object("ms", ms);
      case "beat":
        return beat(in, task);
      case "big":
        return "x".repeat(in.path("bytes").asInt());
      case "unencodable":
        boolean nested = in.path("nested").asBoolean();
        return nested ? object("sums", new double[] {1, Double.NEGATIVE_INFINITY}) : Double.NaN;
      case "call":
        Object given = Values.expanded(in.path("input"));
        JsonNode output = client.run(in.path("workflow").asText(), given, JsonNode.class);
        return object("traceparent", task.traceparent(), "output", output);
      case "close":
        client.close();
        return null;
      case "exit":
        Runtime.getRuntime().halt(3);
        return null;
      default:
        throw new IllegalArgumentException("there is no behavior " + behavior);
    }
  }

  private static void stay(long ms) {
    long until = System.nanoTime() + ms * 1_000_000;
    for (long left = until; left > 0; left = until - System.nanoTime()) {
      try {
        Thread.sleep(Math.min(ms, left / 1_000_000 + 1));
      } catch (InterruptedException ignored) {
        continue; // on purpose
      }
    }
  }

  private static Object beat(JsonNode in, Task task) throws Exception {
    int count = in.path("count").asInt();
    for (int n = 1; n <= count; n++) {
      Object details = in.has("bytes") ? "x".repeat(in.get("bytes").asInt()) : object("n", n);
      try {
        task.heartbeat(details);
      } catch (FlowmeshException refused) {
        throw new TaskFailure("Refused", refused.getMessage());
      }
      Thread.sleep(in.path("everyMs").asLong());
    }
    return object("beats", count);
  }

  /** Waits until a number of calls have ended; returns the time of the first. */
  long reached(int count) throws InterruptedException {
    while (true) {
      synchronized (this) {
        if (ended >= count) {
          return beganNs;
        }
      }
      Thread.sleep(5);
    }
  }

  synchronized Map<String, Object> summary() {
    Set<List<Object>> distinct = new HashSet<>();
    calls.forEach(c -> distinct.add(List.of(c.get("execution"), c.get("node"), c.get("attempt"))));
    boolean many = calls.size() > Values.TEXT_MAX;
    return object(
        "calls", many ? List.of() : calls.stream().map(Map::copyOf).toList(),
        "count", calls.size(), "distinct", distinct.size(),
        "running", count("running"), "canceled", count("canceled"), "ended", count("ended"));
  }

  private long count(String state) {
    return calls.stream().filter(each -> each.get("state").equals(state)).count();
  }
}
