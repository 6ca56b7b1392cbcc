package dev.flowmesh.sdk.worker;

import java.time.Duration;

/** The failure of a handler with a class on which retry policies decide. */
public final class TaskFailure extends Exception {
  private static final long serialVersionUID = 1L;

  /** The class. */
  private final String name;

  /** The least delay before the next attempt. */
  private final Duration retryAfter;

  /** Any value of JSON. */
  private final transient Object details;

  /**
   * A failure.
   *
   * @param name the class on which retry policies decide
   * @param message a text for people
   */
  public TaskFailure(String name, String message) {
    this(name, message, Duration.ZERO, null);
  }

  /**
   * A failure with all its parts.
   *
   * @param name the class on which retry policies decide
   * @param message a text for people
   * @param retryAfter the least delay before the next attempt
   * @param details any value of JSON, or null
   */
  public TaskFailure(String name, String message, Duration retryAfter, Object details) {
    super(message);
    this.name = name;
    this.retryAfter = retryAfter;
    this.details = details;
  }

  /**
   * Returns a failure that the default policy does not retry.
   *
   * @param message a text for people
   * @return of class {@code NonRetryable}
   */
  public static TaskFailure nonRetryable(String message) {
    return new TaskFailure("NonRetryable", message);
  }

  /**
   * Returns the class on which retry policies decide.
   *
   * @return its name
   */
  public String name() {
    return name;
  }

  /**
   * Returns the least delay before the next attempt.
   *
   * @return zero if there is none
   */
  public Duration retryAfter() {
    return retryAfter;
  }

  /**
   * Returns the details.
   *
   * @return any value of JSON, or null
   */
  public Object details() {
    return details;
  }
}
