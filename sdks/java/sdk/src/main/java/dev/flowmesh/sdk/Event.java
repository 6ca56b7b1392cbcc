package dev.flowmesh.sdk;

import dev.flowmesh.api.history.v1.HistoryEvent;
import java.time.Instant;
import java.util.Set;

/**
 * An event of an execution's history.
 *
 * @param type its public name, such as {@code TaskCompleted}; {@code Unknown} of a newer server
 * @param sequence counts from 1 without gap
 * @param executionId its execution
 * @param workflowId the workflow of the execution
 * @param node its node, or empty
 * @param attempt its attempt, or 0
 * @param at its time
 * @param cursor resumes {@link FlowmeshClient#events} after this event
 * @param message all its data
 */
public record Event(
    String type,
    long sequence,
    String executionId,
    String workflowId,
    String node,
    int attempt,
    Instant at,
    String cursor,
    HistoryEvent message) {
  private static final Set<String> LAST =
      Set.of(
          "WorkflowCompleted",
          "WorkflowFailed",
          "WorkflowCanceled",
          "WorkflowTerminated",
          "WorkflowContinued");

  /**
   * Returns whether it is the last event of its execution.
   *
   * @return true for the end of the workflow
   */
  public boolean last() {
    return LAST.contains(type);
  }
}
