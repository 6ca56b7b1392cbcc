package dev.flowmesh.sdk;

import java.time.Instant;
import java.util.List;

/**
 * One step of an execution.
 *
 * @param id its id in the definition
 * @param name its name, or its id
 * @param status pending, running, completed, failed, skipped or canceled
 * @param taskType the type of its task, or empty
 * @param attempts the number of started attempts
 * @param dependencies the nodes before it
 * @param workerId the worker of the last attempt
 * @param startedAt null if it has not started
 * @param endedAt null if it has not ended
 * @param output its output
 * @param failure null if it has not failed
 * @param held whether it waits for an operator
 * @param childExecutionId the execution that it started, or empty
 */
public record Node(
    String id,
    String name,
    String status,
    String taskType,
    int attempts,
    List<String> dependencies,
    String workerId,
    Instant startedAt,
    Instant endedAt,
    Value output,
    Failure failure,
    boolean held,
    String childExecutionId) {}
