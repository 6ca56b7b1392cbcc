package dev.flowmesh.sdk;

import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * One running or ended workflow, as last committed.
 *
 * @param id its id
 * @param namespace its namespace
 * @param workflowId its workflow
 * @param version the version of the workflow
 * @param status its status
 * @param startedAt the time of its start
 * @param endedAt null if it has not ended
 * @param input its input
 * @param output its output
 * @param failure null if it has not failed
 * @param lastSequence the sequence of its last event
 * @param requestId the request id of its start
 * @param parentId the execution that started it, or empty
 * @param continuedAs the execution that continues it, or empty
 * @param variables its variables
 * @param nodes in the order of the definition; lists have none
 */
public record Execution(
    String id,
    String namespace,
    String workflowId,
    int version,
    Status status,
    Instant startedAt,
    Instant endedAt,
    Value input,
    Value output,
    Failure failure,
    long lastSequence,
    String requestId,
    String parentId,
    String continuedAs,
    Map<String, Value> variables,
    List<Node> nodes) {
  /**
   * Returns the node of an id.
   *
   * @param id of the definition
   * @return empty if there is none
   */
  public Optional<Node> node(String id) {
    return nodes.stream().filter(each -> each.id().equals(id)).findFirst();
  }
}
