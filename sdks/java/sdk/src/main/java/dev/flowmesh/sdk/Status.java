package dev.flowmesh.sdk;

import java.util.Locale;

/** The state of an execution. */
public enum Status {
  /** Accepted, not yet started. */
  PENDING,
  /** Running. */
  RUNNING,
  /** Paused: no task starts. */
  PAUSED,
  /** Ended with an output. */
  COMPLETED,
  /** Ended with a failure. */
  FAILED,
  /** Ended by a cancellation. */
  CANCELED,
  /** Ended by force. */
  TERMINATED,
  /** Undoing its completed nodes. */
  COMPENSATING,
  /** Ended, and continued as a new execution. */
  CONTINUED,
  /** A status of a newer server. */
  UNKNOWN;

  /**
   * Returns whether an execution of this status has ended.
   *
   * @return true if nothing of it runs any more
   */
  public boolean ended() {
    return switch (this) {
      case COMPLETED, FAILED, CANCELED, TERMINATED, CONTINUED -> true;
      default -> false;
    };
  }

  /**
   * Returns the word of the status, the same in all SDKs.
   *
   * @return such as {@code completed}
   */
  public String word() {
    return name().toLowerCase(Locale.ROOT);
  }
}
