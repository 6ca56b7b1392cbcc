package dev.flowmesh.examples;

import dev.flowmesh.sdk.Event;
import dev.flowmesh.sdk.ExecutionFailedException;
import dev.flowmesh.sdk.FlowmeshClient;
import dev.flowmesh.sdk.Handle;
import dev.flowmesh.sdk.worker.TaskFailure;
import dev.flowmesh.sdk.worker.Worker;
import java.time.Duration;
import java.util.Map;
import java.util.stream.Stream;

/** A saga: charges a card, waits for a signal, fails to ship, and refunds the card. */
public final class Order {
  private static final String DEFINITION =
      """
      apiVersion: workflow.io/v1
      kind: WorkflowTask
      metadata: {name: java-charge}
      spec: {type: java-charge}
      ---
      apiVersion: workflow.io/v1
      kind: WorkflowTask
      metadata: {name: java-refund}
      spec: {type: java-refund}
      ---
      apiVersion: workflow.io/v1
      kind: WorkflowTask
      metadata: {name: java-ship}
      spec: {type: java-ship}
      ---
      apiVersion: workflow.io/v1
      kind: Workflow
      metadata: {name: java-order}
      spec:
        tasks:
          - id: charge
            taskRef: java-charge
            input: {amount: "{{input.amount}}"}
            undo: {taskRef: java-refund, input: {amount: "{{undo.output.charged}}"}}
          - {id: approval, wait: {event: approved}, dependsOn: [charge]}
          - {id: ship, taskRef: java-ship, dependsOn: [approval]}
      """;

  private Order() {}

  record Payment(int amount) {}

  record Receipt(int charged) {}

  private static Receipt charge(Payment payment) {
    System.out.println("charged " + payment.amount());
    return new Receipt(payment.amount());
  }

  private static Object refund(Payment payment) {
    System.out.println("refunded " + payment.amount());
    return null;
  }

  private static Object ship() throws TaskFailure {
    throw new TaskFailure("OutOfStock", "no item left");
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
              .task("java-charge", Payment.class, (payment, task) -> charge(payment))
              .task("java-refund", Payment.class, (payment, task) -> refund(payment))
              .task("java-ship", Object.class, (none, task) -> ship())
              .start()) {
        order(client);
      }
    }
  }

  private static void order(FlowmeshClient client) {
    Handle<Object> handle = client.start("java-order", new Payment(30));
    try (Stream<Event> events = handle.events(0, "TaskCompleted")) {
      events.filter(event -> event.node().equals("charge")).findFirst().orElseThrow();
    }
    System.out.println("waiting for the approval");
    handle.signal("approved", Map.of("by", "Grace"));
    try {
      handle.result(Duration.ofSeconds(30));
    } catch (ExecutionFailedException failed) {
      System.out.println(failed.status().word() + ": " + failed.failure().name());
    }
  }
}
