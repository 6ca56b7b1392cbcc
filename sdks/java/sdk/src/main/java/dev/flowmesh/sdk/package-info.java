/**
 * The client of Flowmesh: starts executions of workflows, waits for them, watches and steers them.
 *
 * <pre>{@code
 * try (FlowmeshClient client = FlowmeshClient.connect("127.0.0.1:7450")) {
 *   int total = client.run("order", new Order(3), Integer.class);
 * }
 * }</pre>
 *
 * <p>{@link dev.flowmesh.sdk.worker} runs the tasks of workflows, {@link dev.flowmesh.sdk.mesh}
 * finds services.
 */
package dev.flowmesh.sdk;
