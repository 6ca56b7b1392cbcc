package dev.flowmesh.examples;

import dev.flowmesh.sdk.FlowmeshClient;
import dev.flowmesh.sdk.worker.Worker;

/** Registers a workflow, serves its task, and runs it. */
public final class Hello {
  private static final String DEFINITION =
      """
      apiVersion: workflow.io/v1
      kind: WorkflowTask
      metadata: {name: java-greet}
      spec: {type: java-greet}
      ---
      apiVersion: workflow.io/v1
      kind: Workflow
      metadata: {name: java-hello}
      spec:
        tasks: [{id: greet, taskRef: java-greet, input: {name: "{{input.name}}"}}]
        output: "{{tasks.greet.output}}"
      """;

  private Hello() {}

  record Person(String name) {}

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
              .task("java-greet", Person.class, (person, task) -> "Hello " + person.name())
              .start()) {
        System.out.println(client.run("java-hello", new Person("Ada"), String.class));
      }
    }
  }
}
