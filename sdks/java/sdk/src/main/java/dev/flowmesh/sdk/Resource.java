package dev.flowmesh.sdk;

/**
 * An applied workflow or task.
 *
 * @param kind {@code Workflow} or {@code WorkflowTask}
 * @param name its name
 * @param version its version
 * @param digest the digest of its content
 * @param created false if the newest version had the same content
 */
public record Resource(String kind, String name, int version, String digest, boolean created) {}
