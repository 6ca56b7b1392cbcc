/** The rules of retries: which errors, after which delay, and how many for all calls together. */
import type { FlowmeshError } from "./errors.js";
import * as limits from "./limits.js";

/** Return the delay before a retry, that of the server or `waitMs`; undefined for no retry. */
export function retryDelayMs(error: FlowmeshError, waitMs: number): number | undefined {
  if (error.kind !== "Unavailable" && error.kind !== "Overloaded") {
    return undefined;
  }
  if (error.retryAfterMs > 0) {
    return Math.min(error.retryAfterMs, limits.RETRY_WAIT_MAX_MS);
  }
  return error.kind === "Unavailable" ? waitMs : undefined;
}

/**
 * The retries that a client may make for all its calls together: a server that fails them gets at
 * most a tenth more calls. A retry takes a token, a success returns a tenth. A retry after a delay
 * that the server named, or after no answer at all, is free.
 */
export class RetryBudget {
  #tokens = limits.RETRY_TOKENS;

  /** Take the token of a retry; return false if there is none. */
  permits(failure: FlowmeshError): boolean {
    if (failure.retryAfterMs > 0) {
      return true;
    }
    if (this.#tokens < 1) {
      return false;
    }
    this.#tokens -= 1;
    return true;
  }

  /** Return the share of a success. */
  succeeded(): void {
    this.#tokens = Math.min(limits.RETRY_TOKENS, this.#tokens + limits.RETRY_TOKENS_PER_SUCCESS);
  }
}
