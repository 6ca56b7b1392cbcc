package dev.flowmesh.sdk.internal;

import dev.flowmesh.sdk.FlowmeshException;

/**
 * The retries that a client may make for all its calls together: a server that fails them gets at
 * most a tenth more calls. A retry takes a token, a success returns a tenth. A retry after a delay
 * that the server named, or after no answer at all, is free.
 */
final class RetryBudget {
  private double tokens = Limits.RETRY_TOKENS;

  /** Takes the token of a retry; returns false if there is none. */
  synchronized boolean permits(FlowmeshException failure) {
    if (!failure.retryAfter().isZero()) {
      return true;
    }
    if (tokens < 1) {
      return false;
    }
    tokens--;
    return true;
  }

  /** Returns the share of a success. */
  synchronized void succeeded() {
    tokens = Math.min(Limits.RETRY_TOKENS, tokens + Limits.RETRY_TOKENS_PER_SUCCESS);
  }
}
