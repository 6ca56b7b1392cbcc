package dev.flowmesh.sdk;

import java.time.Duration;
import java.util.List;

/** The refusal of a call: its kind, and a reason that never changes. */
public final class FlowmeshException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** The kind. */
  private final Kind kind;

  /** The reason. */
  private final String reason;

  /** The message without the reason. */
  private final String text;

  /** The problems of the request. */
  private final transient List<Violation> violations;

  /** The delay that the server asks for. */
  private final Duration retryAfter;

  /**
   * One problem of a request that the caller can fix.
   *
   * @param field the path of the field
   * @param description the problem
   * @param code the kind of problem, empty if unknown
   * @param line from 1; 0 is unknown
   * @param column from 1; 0 is unknown
   */
  public record Violation(String field, String description, String code, int line, int column) {}

  /**
   * An exception with all its parts.
   *
   * @param kind its kind
   * @param reason a row of the table of reasons
   * @param text a message for people
   * @param violations the problems of the request
   * @param retryAfter the delay that the server asks for; zero is none
   * @param cause the cause, or null
   */
  public FlowmeshException(
      Kind kind,
      String reason,
      String text,
      List<Violation> violations,
      Duration retryAfter,
      Throwable cause) {
    super(reason + ": " + text, cause);
    this.kind = kind;
    this.reason = reason;
    this.text = text;
    this.violations = List.copyOf(violations);
    this.retryAfter = retryAfter;
  }

  /**
   * An exception of the SDK itself.
   *
   * @param kind its kind
   * @param reason a row of the table of reasons
   * @param text a message for people
   */
  public FlowmeshException(Kind kind, String reason, String text) {
    this(kind, reason, text, List.of(), Duration.ZERO, null);
  }

  /**
   * Returns the kind.
   *
   * @return the class of the refusal
   */
  public Kind kind() {
    return kind;
  }

  /**
   * Returns the reason.
   *
   * @return such as {@code WORKFLOW_NOT_FOUND}
   */
  public String reason() {
    return reason;
  }

  /**
   * Returns the message without the reason.
   *
   * @return a text for people
   */
  public String text() {
    return text;
  }

  /**
   * Returns the problems of the request.
   *
   * @return empty if the server names none
   */
  public List<Violation> violations() {
    return violations == null ? List.of() : violations;
  }

  /**
   * Returns the delay that the server asks for.
   *
   * @return zero if it asks for none
   */
  public Duration retryAfter() {
    return retryAfter;
  }
}
