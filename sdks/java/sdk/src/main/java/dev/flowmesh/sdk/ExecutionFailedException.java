package dev.flowmesh.sdk;

/** The end of an execution that did not complete. */
public final class ExecutionFailedException extends Exception {
  private static final long serialVersionUID = 1L;

  /** The id of the execution. */
  private final String id;

  /** The status in which it ended. */
  private final Status status;

  /** The failure, or null. */
  private final transient Failure failure;

  /**
   * The end of an execution.
   *
   * @param id its id
   * @param status its status
   * @param failure null if it was canceled or terminated
   */
  public ExecutionFailedException(String id, Status status, Failure failure) {
    super("execution " + id + " " + status.word() + (failure == null ? "" : ": " + failure));
    this.id = id;
    this.status = status;
    this.failure = failure;
  }

  /**
   * Returns the id of the execution.
   *
   * @return its id
   */
  public String id() {
    return id;
  }

  /**
   * Returns the status in which it ended.
   *
   * @return such as {@link Status#FAILED}
   */
  public Status status() {
    return status;
  }

  /**
   * Returns the failure.
   *
   * @return null if the execution was canceled or terminated
   */
  public Failure failure() {
    return failure;
  }
}
