package dev.flowmesh.examples;

import dev.flowmesh.sdk.Event;
import dev.flowmesh.sdk.FlowmeshClient;
import java.util.stream.Stream;

/** Prints the events of an execution as they happen; with an id as argument, those of that one. */
public final class Watch {
  private static final String DEFINITION =
      """
      apiVersion: workflow.io/v1
      kind: Workflow
      metadata: {name: java-watch}
      spec:
        tasks:
          - {id: first, taskRef: noop}
          - {id: second, taskRef: noop, dependsOn: [first]}
      """;

  private Watch() {}

  /**
   * Runs the example.
   *
   * @param arguments the id of an execution, or none
   */
  public static void main(String[] arguments) {
    try (FlowmeshClient client = FlowmeshClient.connect("")) {
      String id = arguments.length > 0 ? arguments[0] : started(client);
      // A broken connection is opened again after the last event, without gap or repeat.
      try (Stream<Event> events =
          client.handle(id).events(0, "WorkflowStarted", "TaskCompleted")) {
        events.forEach(event -> System.out.println((event.type() + " " + event.node()).strip()));
      }
    }
  }

  private static String started(FlowmeshClient client) {
    client.apply(DEFINITION);
    return client.start("java-watch", null).id();
  }
}
