package dev.flowmesh.sdk.worker;

import dev.flowmesh.sdk.Value;
import java.time.Duration;

/** The facts of the task that a handler runs. */
public interface Task {
  /**
   * Returns the key that is the same on all attempts; pass it to the services that the handler
   * calls.
   *
   * @return the key
   */
  String idempotencyKey();

  /**
   * Returns the number of the attempt.
   *
   * @return from 1
   */
  int attempt();

  /**
   * Returns the execution.
   *
   * @return its id
   */
  String executionId();

  /**
   * Returns the workflow.
   *
   * @return its id
   */
  String workflowId();

  /**
   * Returns the namespace.
   *
   * @return its name
   */
  String namespace();

  /**
   * Returns the node.
   *
   * @return its id
   */
  String node();

  /**
   * Returns the type of the task.
   *
   * @return its name
   */
  String taskType();

  /**
   * Returns the queue.
   *
   * @return its name
   */
  String queue();

  /**
   * Returns the W3C trace context of the execution, which calls of the handler carry.
   *
   * @return empty if there is none
   */
  String traceparent();

  /**
   * Returns the time limit of the attempt.
   *
   * @return zero if there is none
   */
  Duration timeout();

  /**
   * Returns the configuration of the task type.
   *
   * @return as in its definition
   */
  Value config();

  /**
   * Returns whether the task is not wanted any more: it was canceled, its time is up, or the worker
   * stops. The thread of the handler is interrupted then, too.
   *
   * @return true from then on
   */
  boolean canceled();

  /**
   * Reports that the task is alive.
   *
   * @param details at most 64 KiB of JSON, or null; the newest are shown
   * @throws InterruptedException if the task is not wanted any more
   */
  void heartbeat(Object details) throws InterruptedException;
}
