package dev.flowmesh.sdk;

/** The class of a refusal; the reason of a {@link FlowmeshException} is finer. */
public enum Kind {
  /** A request that is wrong in itself. */
  INVALID("Invalid"),
  /** A missing, wrong or expired credential. */
  UNAUTHENTICATED("Unauthenticated"),
  /** A call that the credential does not permit. */
  FORBIDDEN("Forbidden"),
  /** A workflow, execution or the like that does not exist. */
  NOT_FOUND("NotFound"),
  /** An id that is in use, with other content. */
  CONFLICT("Conflict"),
  /** An action that the present state does not allow. */
  WRONG_STATE("WrongState"),
  /** Something that is no longer kept. */
  GONE("Gone"),
  /** A value above its limit. */
  TOO_LARGE("TooLarge"),
  /** A full queue, or a quota that is used up. */
  OVERLOADED("Overloaded"),
  /** A server that does not respond, or not now. */
  UNAVAILABLE("Unavailable"),
  /** A method that the server does not have. */
  UNIMPLEMENTED("Unimplemented"),
  /** An exceeded deadline. */
  TIMEOUT("Timeout"),
  /** A failure of the server, or of a peer. */
  INTERNAL("Internal"),
  /** A use after close. */
  CLOSED("Closed"),
  /** A call whose thread was interrupted, or whose task was canceled. */
  CANCELED("Canceled");

  private final String word;

  Kind(String word) {
    this.word = word;
  }

  /**
   * Returns the word of the kind, the same in all SDKs.
   *
   * @return such as {@code NotFound}
   */
  public String word() {
    return word;
  }
}
