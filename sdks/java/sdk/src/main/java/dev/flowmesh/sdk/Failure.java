package dev.flowmesh.sdk;

import java.time.Duration;

/**
 * The failure of an attempt, a node or an execution.
 *
 * @param name the class on which retry policies decide
 * @param message a text for people
 * @param node the node that failed, or empty
 * @param retryAfter the least delay before the next attempt
 * @param details any JSON value
 */
public record Failure(
    String name, String message, String node, Duration retryAfter, Value details) {
  @Override
  public String toString() {
    return node.isEmpty() ? name + ": " + message : name + " in " + node + ": " + message;
  }
}
