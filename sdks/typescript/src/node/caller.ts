/**
 * Calls of a client, with deadlines, bounded retries and translated errors.
 *
 * Every call can be retried: a read has no effect, and a change carries a request id that all its
 * retries share.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type {
  DescMessage,
  DescMethodStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { draining, FlowmeshError } from "../errors.js";
import * as limits from "../limits.js";
import { RetryBudget, retryDelayMs } from "../retries.js";
import { Connections } from "./connections.js";
import type { Credential } from "./credentials.js";
import { checkCredential, type Endpoint, elsewhere } from "./endpoint.js";
import { errorOf } from "./status.js";
import { currentTraceparent } from "./trace.js";

/** Options of one call. @internal */
export interface CallOptions {
  /** Deadline of each attempt. */
  readonly timeoutMs?: number;
  /** Time after which no attempt starts. */
  readonly withinMs?: number;
  /** Cancels the call. */
  readonly signal?: AbortSignal | undefined;
  /** Sends no credential. */
  readonly isPublic?: boolean;
}

/** Owns the connections of a client and makes its calls. @internal */
export class Caller {
  readonly #connections: Connections;
  readonly #budget = new RetryBudget();
  readonly #open = new Set<AbortController>();
  #isClosed = false;

  constructor(
    endpoint: Endpoint,
    readonly credential: Credential | undefined,
  ) {
    if (credential) {
      checkCredential(endpoint, credential.source);
    }
    this.#connections = new Connections(endpoint);
  }

  /** The server of later calls. */
  get endpoint(): Endpoint {
    return this.#connections.endpoint;
  }

  /** Make a unary call, repeated while a retry may help. */
  async call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    const { timeoutMs = limits.CALL_TIMEOUT_MS, withinMs = Number.POSITIVE_INFINITY } = options;
    if (!(timeoutMs > 0 && withinMs > 0)) {
      const text = `the deadline of ${Math.min(timeoutMs, withinMs)} ms has passed`;
      throw new FlowmeshError("Timeout", "DEADLINE_EXCEEDED", text);
    }
    const deadlineMs = Math.min(timeoutMs, limits.DEADLINE_MAX_MS);
    const totalMs = Math.min(Math.max(timeoutMs, limits.RETRY_TOTAL_MS), withinMs);
    const once = (signal: AbortSignal, headers: Record<string, string>) =>
      this.#connections.unary(method, request, signal, deadlineMs, headers);
    return this.retried(options.signal, totalMs, once, options.isPublic);
  }

  /** Open a stream; it ends when the loop over it is left, or `signal` aborts. */
  async *stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodStreaming<I, O>,
    requests: AsyncIterable<MessageInitShape<I>>,
    signal?: AbortSignal,
    timeoutMs?: number,
  ): AsyncGenerator<MessageShape<O>> {
    const [controller, release] = this.#begin(signal);
    try {
      const headers = await this.#headers();
      yield* this.#connections.stream(method, requests, controller.signal, timeoutMs, headers);
    } catch (error) {
      throw this.#isClosed ? draining("client") : error;
    } finally {
      controller.abort();
      release();
    }
  }

  /** Return the result of `once`, repeated on errors that a retry may resolve. */
  async retried<T>(
    given: AbortSignal | undefined,
    totalMs: number,
    once: (signal: AbortSignal, headers: Record<string, string>) => Promise<T>,
    isPublic = false,
  ): Promise<T> {
    const [controller, release] = this.#begin(given);
    const until = performance.now() + totalMs;
    let waitMs = limits.RETRY_WAIT_MS;
    let hasFollowed = false;
    try {
      for (;;) {
        let failure: FlowmeshError;
        try {
          const result = await once(controller.signal, await this.#headers(isPublic));
          this.#budget.succeeded();
          return result;
        } catch (error) {
          if (controller.signal.aborted) {
            throw error;
          }
          failure = this.explained(error);
        }
        if (await this.reauthorized(failure)) {
          continue;
        }
        if (!hasFollowed && this.followed(failure)) {
          hasFollowed = true;
          continue;
        }
        const delayMs = retryDelayMs(failure, waitMs);
        // Jitter, so that clients that failed together do not retry together.
        const pauseMs = (delayMs ?? 0) + waitMs * Math.random();
        const isLate = delayMs === undefined || performance.now() + pauseMs > until;
        if (isLate || !this.#budget.permits(failure)) {
          throw failure;
        }
        await sleep(pauseMs, undefined, { signal: controller.signal });
        waitMs = Math.min(2 * waitMs, limits.RETRY_WAIT_MAX_MS);
      }
    } catch (error) {
      if (this.#isClosed) {
        throw draining("client");
      }
      if (given?.aborted) {
        throw given.reason;
      }
      throw error;
    } finally {
      release();
    }
  }

  /** Return the domain error of a failed call. */
  explained(error: unknown): FlowmeshError {
    const found = errorOf(error, this.endpoint.address);
    if (found.kind !== "Unauthenticated" || found === error) {
      return found;
    }
    let text = found.message;
    if (this.credential) {
      text = `the server refused ${this.credential.source}: ${text}`;
    } else if (found.reason === "CREDENTIALS_REQUIRED") {
      text =
        `${this.endpoint.address} requires a credential; set FLOWMESH_API_KEY or FLOWMESH_TOKEN,` +
        " or pass `apiKey` or `token`";
    }
    return new FlowmeshError("Unauthenticated", found.reason, text);
  }

  /** Renew a token that the server refused; return whether the call may be repeated. */
  async reauthorized(error: FlowmeshError): Promise<boolean> {
    return error.kind === "Unauthenticated" && ((await this.credential?.rejected()) ?? false);
  }

  /**
   * Make later calls to the cell that an error names; false if it names none. Throws
   * `ENDPOINT_INVALID` and `PLAINTEXT_REFUSED` for an address that is less safe.
   */
  followed({ cell }: FlowmeshError): boolean {
    // Another call may have moved this client already.
    if (cell && cell !== this.endpoint.address) {
      const endpoint = elsewhere(this.endpoint, cell);
      if (this.credential) {
        checkCredential(endpoint, this.credential.source);
      }
      this.#connections.move(endpoint);
    }
    return cell !== "";
  }

  /** Number of calls and streams that are open. */
  get openCalls(): number {
    return this.#open.size;
  }

  /** Number of connections that were opened. */
  get connections(): number {
    return this.#connections.size;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Close the connections and cancel open calls. */
  close(): void {
    this.#isClosed = true;
    for (const controller of this.#open) {
      controller.abort();
    }
    this.#connections.close();
  }

  /** Return the controller of a call, which follows `given` and the end of the client. */
  #begin(given: AbortSignal | undefined): [AbortController, () => void] {
    if (this.#isClosed) {
      throw draining("client");
    }
    given?.throwIfAborted();
    const controller = new AbortController();
    const abort = () => controller.abort(given?.reason);
    given?.addEventListener("abort", abort);
    this.#open.add(controller);
    return [
      controller,
      () => {
        given?.removeEventListener("abort", abort);
        this.#open.delete(controller);
      },
    ];
  }

  async #headers(isPublic = false): Promise<Record<string, string>> {
    const headers: Record<string, string> = {};
    if (this.credential && !isPublic) {
      headers["authorization"] = await this.credential.header();
    }
    const traceparent = currentTraceparent();
    if (traceparent) {
      headers["traceparent"] = traceparent;
    }
    return headers;
  }
}
