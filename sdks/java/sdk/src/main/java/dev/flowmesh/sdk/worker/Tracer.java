package dev.flowmesh.sdk.worker;

import java.util.function.Consumer;

/** Spans of tasks, such as those of OpenTelemetry. */
@FunctionalInterface
public interface Tracer {
  /**
   * Begins the span of a task in the thread of its handler; its parent is {@link
   * Task#traceparent}.
   *
   * @param task the task
   * @return ends the span, with the error of a failed attempt or null
   */
  Consumer<Throwable> begin(Task task);
}
