package dev.flowmesh.examples;

import dev.flowmesh.sdk.FlowmeshClient;
import dev.flowmesh.sdk.worker.Task;
import dev.flowmesh.sdk.worker.Worker;
import java.util.Map;

/**
 * A worker for tasks that use the CPU: each has a thread, progress goes out as heartbeats, and a
 * heartbeat of a canceled task ends its handler.
 */
public final class Cpu {
  private static final String DEFINITION =
      """
      apiVersion: workflow.io/v1
      kind: WorkflowTask
      metadata: {name: java-primes}
      spec: {type: java-primes}
      ---
      apiVersion: workflow.io/v1
      kind: Workflow
      metadata: {name: java-cpu}
      spec:
        tasks: [{id: count, taskRef: java-primes, input: "{{input}}", timeout: 1m}]
        output: "{{tasks.count.output}}"
      """;

  private Cpu() {}

  record Range(int below) {}

  private static int countPrimes(Range range, Task task) throws InterruptedException {
    int primes = 0;
    for (int number = 2; number < range.below(); number++) {
      if (number % 10_000 == 0) {
        task.heartbeat(Map.of("tested", number));
      }
      primes += isPrime(number) ? 1 : 0;
    }
    return primes;
  }

  private static boolean isPrime(int number) {
    for (int factor = 2; factor * factor <= number; factor++) {
      if (number % factor == 0) {
        return false;
      }
    }
    return true;
  }

  /**
   * Runs the example.
   *
   * @param arguments none
   * @throws Exception if a call fails
   */
  public static void main(String[] arguments) throws Exception {
    try (FlowmeshClient client = FlowmeshClient.connect("")) {
      client.apply(DEFINITION);
      try (Worker worker =
          Worker.builder(client)
              .slots(2)
              .task("java-primes", Range.class, Cpu::countPrimes)
              .start()) {
        int primes = client.run("java-cpu", new Range(100_000), Integer.class);
        System.out.println(primes + " primes");
      }
    }
  }
}
