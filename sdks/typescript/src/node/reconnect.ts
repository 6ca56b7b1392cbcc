/** The policy that reopens a broken stream, or gives it up. */
import { setTimeout as sleep } from "node:timers/promises";
import { FlowmeshError } from "../errors.js";
import * as limits from "../limits.js";
import type { Caller } from "./caller.js";
import { isTransient } from "./status.js";

/** Tracks the time since a stream last worked. @internal */
export class Reconnect {
  #downSince: number | undefined;
  #openedAt = 0;
  #last: FlowmeshError | undefined;
  #isTransient = true;
  // The last end was that of another cell, which was followed.
  #hasFollowed = false;

  constructor(private readonly caller: Caller) {}

  /** Record the start of an attempt to open the stream. */
  opening(): void {
    this.#openedAt = performance.now();
  }

  /** Record a received message. */
  connected(): void {
    this.#downSince = undefined;
    this.#last = undefined;
    this.#isTransient = true;
    this.#hasFollowed = false;
  }

  /**
   * Record the error that ended the stream, and renew a token that it is about. A stream that
   * another cell serves is opened there.
   */
  async broken(error: unknown): Promise<void> {
    this.#last = this.caller.explained(error);
    this.#isTransient = error instanceof FlowmeshError ? false : isTransient(error, this.#last);
    if (await this.caller.reauthorized(this.#last)) {
      this.#isTransient = true;
    }
    try {
      this.#hasFollowed = !this.#hasFollowed && this.caller.followed(this.#last);
      this.#isTransient ||= this.#hasFollowed;
    } catch (refused) {
      this.#last = this.caller.explained(refused);
    }
  }

  /** True if the server refused the stream and would refuse it again. */
  get refused(): boolean {
    return !this.#isTransient;
  }

  /** True if the stream was refused, or could not be reopened for too long. */
  get hopeless(): boolean {
    return this.refused || this.#downMs > limits.RECONNECT_TOTAL_MS;
  }

  /** The error for callers after the stream is given up. */
  get error(): FlowmeshError {
    const text = "the server closed the stream and does not respond";
    return this.#last ?? new FlowmeshError("Unavailable", "SERVICE_UNAVAILABLE", text);
  }

  get #downMs(): number {
    return this.#downSince === undefined ? 0 : performance.now() - this.#downSince;
  }

  /** Wait before the next attempt: 100 ms for 2 s, then longer, up to 2 s. */
  async pause(signal?: AbortSignal): Promise<void> {
    if (performance.now() - this.#openedAt > limits.STREAM_LASTED_MS) {
      this.#downSince = undefined;
    }
    this.#downSince ??= performance.now();
    const spentMs = this.#downMs;
    const pauseMs =
      spentMs < 2_000
        ? limits.STREAM_RETRY_MIN_MS
        : Math.min(Math.max(spentMs / 10, limits.STREAM_RETRY_MIN_MS), limits.STREAM_RETRY_MAX_MS);
    await sleep(pauseMs, undefined, signal ? { signal } : undefined);
  }
}
