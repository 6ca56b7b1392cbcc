/**
 * The worker of Flowmesh: runs the tasks of workflows.
 *
 * <pre>{@code
 * try (Worker worker =
 *     Worker.builder(client).task("charge", Order.class, (order, task) -> charge(order)).start()) {
 *   worker.await();
 * }
 * }</pre>
 */
package dev.flowmesh.sdk.worker;
