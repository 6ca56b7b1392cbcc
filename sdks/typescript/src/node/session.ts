/**
 * Many starts over one stream, with acknowledgments after the commit, and results.
 *
 * A broken stream is reopened: unacknowledged starts are sent again with their request ids, and
 * pending results are watched. Starts that the server refuses because of overload are sent again in
 * their order, with fewer in flight.
 */
import { randomUUID } from "node:crypto";
import { draining, ExecutionFailed, FlowmeshError, invalid } from "../errors.js";
import type { Json } from "../json.js";
import * as limits from "../limits.js";
import {
  ExecutionService,
  type SessionRefused,
  type SessionResponse,
  type SessionResult,
} from "../proto/flowmesh/api/execution/v1/execution_service_pb.js";
import { retryDelayMs } from "../retries.js";
import type { ChangeOptions, Connection } from "./connection.js";
import type { PackedPayload } from "./payloads.js";
import { Reconnect } from "./reconnect.js";
import { refusalOf } from "./status.js";
import { failureOf, statusOf } from "./views.js";
import { Wake } from "./wake.js";

/** Options of a start in a session. */
export interface SubmitOptions extends ChangeOptions {
  /** Number or label of the version; by default the newest. */
  readonly version?: number | string;
  /** False if nothing waits for the result. */
  readonly wantResult?: boolean;
}

interface StartFields {
  readonly namespace: string;
  readonly workflowId: string;
  readonly version?: number;
  readonly versionLabel?: string;
  readonly input: PackedPayload;
  readonly requestId: string;
}

/** Return the fields of a request that select a version. @internal */
export function versionFields(version: number | string = 0) {
  return typeof version === "number" ? { version } : { versionLabel: version };
}

/** A submitted start: await `started` for the id, `result()` for the output. */
export class SessionCall<Out = Json> {
  /** Id of the execution, known after `started`. */
  executionId = "";
  /** @internal */
  request: StartFields | undefined;
  /** @internal */
  inFlight = false;
  /** @internal */
  refusedAt: number | undefined;
  /** Resolves with the id after the commit of the start; rejects with its refusal. */
  readonly started: Promise<string>;
  readonly #outcome: Promise<SessionResult>;
  readonly #connection: Connection;
  #accept: (id: string) => void = () => {};
  #finish: (result: SessionResult) => void = () => {};
  #reject: (error: Error) => void = () => {};

  /** @internal */
  constructor(
    connection: Connection,
    readonly callId: bigint,
    request: StartFields | undefined,
    readonly wantResult: boolean,
  ) {
    this.#connection = connection;
    this.request = request;
    let refuse: (error: Error) => void = () => {};
    this.started = new Promise((resolve, reject) => {
      this.#accept = resolve;
      refuse = reject;
    });
    this.#outcome = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#reject = (error) => {
        refuse(error);
        reject(error);
      };
    });
    // A caller that awaits neither must not end the program.
    this.started.catch(() => {});
    this.#outcome.catch(() => {});
  }

  /** Wait for the end and return the output; throws `ExecutionFailed` if it did not complete. */
  async result(): Promise<Out> {
    if (!this.wantResult) {
      throw invalid("REQUEST_INVALID", "the start was submitted with `wantResult: false`");
    }
    const { status, failure, output } = await this.#outcome;
    const { payloads } = this.#connection;
    if (statusOf(status) !== "completed") {
      throw new ExecutionFailed(this.executionId, statusOf(status), failureOf(failure, payloads));
    }
    return (await payloads.unpack(output)) as Out;
  }

  /** @internal */
  acknowledge(executionId: string): void {
    this.executionId = executionId;
    this.request = undefined;
    this.#accept(executionId);
  }

  /** @internal */
  finish(result: SessionResult): void {
    this.acknowledge(this.executionId || result.executionId);
    this.#finish(result);
  }

  /** @internal */
  fail(error: Error): void {
    this.request = undefined;
    this.#reject(error);
  }
}

/** The starts in flight and their limit, which follows the capacity of the server. */
class Window {
  #size = limits.SESSION_STARTS_MAX;
  inFlight = 0;

  get room(): number {
    return Math.max(Math.floor(this.#size) - this.inFlight, 0);
  }

  accepted(): void {
    this.inFlight -= 1;
    this.#size = Math.min(this.#size + 0.1, limits.SESSION_STARTS_MAX);
  }

  refused(isOverloaded: boolean): void {
    this.inFlight -= 1;
    if (isOverloaded) {
      this.#size = Math.max(this.#size - 1, limits.SESSION_WINDOW_MIN);
    }
  }
}

/** One stream of starts and results; `client.session()` opens it. */
export class Session {
  readonly #connection: Connection;
  readonly #calls = new Map<bigint, SessionCall<unknown>>();
  readonly #window = new Window();
  readonly #wake = new Wake();
  readonly #end = new AbortController();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #running: Promise<void>;
  #outgoing: SessionCall<unknown>[] = [];
  #watching: SessionCall<unknown>[] = [];
  // Starts refused because of overload; they are sent before all others.
  #overloaded: SessionCall<unknown>[] = [];
  #unacknowledged = 0;
  #waiters: (() => void)[] = [];
  #lastCallId = 0n;
  #isClosed = false;

  /** @internal */
  constructor(connection: Connection) {
    this.#connection = connection;
    this.#running = this.#run().catch((error: Error) => {
      this.#failAll(this.#isClosed ? draining("session") : error);
      this.#isClosed = true;
    });
  }

  /** Queue a start without waiting; throws `OVERLOADED` if 10,000 are unacknowledged. */
  submit<Out = Json>(
    workflowId: string,
    input?: unknown,
    options: SubmitOptions = {},
  ): SessionCall<Out> {
    const data = this.#connection.payloads.encode(input, "input");
    if (data.length > limits.INLINE_BYTES_MAX) {
      const text = `input has ${data.length} bytes; \`submit\` takes 256 KiB, \`start\` more`;
      throw new FlowmeshError("TooLarge", "PAYLOAD_TOO_LARGE", text);
    }
    return this.#submit(workflowId, { data }, options);
  }

  /** Start an execution and wait for the commit of the start. */
  async start<Out = Json>(
    workflowId: string,
    input?: unknown,
    options: SubmitOptions = {},
  ): Promise<SessionCall<Out>> {
    const packed = await this.#connection.payloads.pack(input, "input");
    while (this.#unacknowledged >= limits.SESSION_STARTS_MAX && !this.#isClosed) {
      await this.#changed();
    }
    const call = this.#submit<Out>(workflowId, packed, options);
    await call.started;
    return call;
  }

  /** Start an execution, wait for the end and return the output. */
  async run<Out = Json>(
    workflowId: string,
    input?: unknown,
    options: Omit<SubmitOptions, "wantResult"> = {},
  ): Promise<Out> {
    return (await this.start<Out>(workflowId, input, options)).result();
  }

  /** Watch an existing execution; `result()` of the call returns its output. */
  watch<Out = Json>(executionId: string): SessionCall<Out> {
    const call = this.#added<Out>(undefined, true);
    call.acknowledge(executionId);
    this.#watching.push(call);
    this.#wake.set();
    return call;
  }

  /** Wait at most 10 s until every start is acknowledged, then end the stream. */
  async close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      const timeout = AbortSignal.timeout(limits.SESSION_FLUSH_MS);
      while (this.#unacknowledged > 0 && !timeout.aborted && !this.#end.signal.aborted) {
        await Promise.race([this.#changed(), this.#running, aborted(timeout)]);
      }
      this.#end.abort();
      this.#wake.set();
    }
    await this.#running;
    for (const timer of this.#timers) {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #submit<Out>(workflowId: string, input: PackedPayload, options: SubmitOptions): SessionCall<Out> {
    if (this.#unacknowledged >= limits.SESSION_STARTS_MAX) {
      const text = `${this.#unacknowledged} starts of this session are unacknowledged, the maximum`;
      throw new FlowmeshError("Overloaded", "OVERLOADED", text, { retryAfterMs: 100 });
    }
    const { namespace } = this.#connection;
    const requestId = options.requestId || randomUUID();
    const version = versionFields(options.version);
    const call = this.#added<Out>(
      { namespace, workflowId, ...version, input, requestId },
      options.wantResult ?? true,
    );
    this.#unacknowledged += 1;
    this.#outgoing.push(call);
    this.#wake.set();
    return call;
  }

  #added<Out>(request: StartFields | undefined, wantResult: boolean): SessionCall<Out> {
    if (this.#isClosed) {
      throw draining("session");
    }
    this.#lastCallId += 1n;
    const call = new SessionCall<Out>(this.#connection, this.#lastCallId, request, wantResult);
    this.#calls.set(call.callId, call as SessionCall<unknown>);
    return call;
  }

  async #run(): Promise<void> {
    const { caller } = this.#connection;
    const reconnect = new Reconnect(caller);
    const { signal } = this.#end;
    for (;;) {
      reconnect.opening();
      try {
        const stream = new AbortController();
        const { session } = ExecutionService.method;
        try {
          for await (const response of caller.stream(
            session,
            this.#frames(stream.signal),
            signal,
          )) {
            reconnect.connected();
            this.#receive(response);
          }
        } finally {
          stream.abort();
          this.#wake.set();
        }
      } catch (error) {
        if (signal.aborted || caller.isClosed) {
          throw draining(caller.isClosed ? "client" : "session");
        }
        await reconnect.broken(error);
      }
      if (reconnect.hopeless) {
        this.#failAll(reconnect.error);
      }
      await reconnect.pause(signal);
      this.#resend();
    }
  }

  async *#frames(signal: AbortSignal) {
    for (;;) {
      await this.#wake.wait();
      if (signal.aborted || this.#end.signal.aborted) {
        return;
      }
      for (let frame = this.#takeFrame(); frame; frame = this.#takeFrame()) {
        yield frame;
      }
    }
  }

  /** Return the next frame of queued starts and watches, within the limits and the window. */
  #takeFrame() {
    const starts = [];
    const limit = this.#overloaded.length > 0 ? 0 : this.#window.room;
    const room = Math.min(limit, limits.FRAME_ITEMS_MAX);
    let taken = 0;
    for (let bytes = 0; taken < this.#outgoing.length; taken++) {
      const call = this.#outgoing[taken] as SessionCall<unknown>;
      if (starts.length >= room || bytes >= limits.FRAME_BYTES_MAX) {
        break;
      }
      if (call.request && !call.inFlight) {
        call.inFlight = true;
        this.#window.inFlight += 1;
        bytes += (call.request.input.data?.length ?? 0) + 128;
        const { callId, wantResult } = call;
        starts.push({ callId, start: call.request, wantResult });
      }
    }
    this.#outgoing.splice(0, taken);
    const watches = this.#watching
      .splice(0, limits.FRAME_ITEMS_MAX)
      .filter(({ callId }) => this.#calls.has(callId))
      .map(({ callId, executionId }) => {
        return { callId, executionId, namespace: this.#connection.namespace };
      });
    return starts.length > 0 || watches.length > 0 ? { starts, watches } : undefined;
  }

  #receive(response: SessionResponse): void {
    for (const { callId, executionId } of response.started) {
      const call = this.#calls.get(callId);
      if (call?.request) {
        this.#accepted(call);
        call.acknowledge(executionId);
        if (!call.wantResult) {
          this.#calls.delete(callId);
        }
      }
    }
    for (const result of response.results) {
      const call = this.#calls.get(result.callId);
      this.#calls.delete(result.callId);
      if (call?.request) {
        this.#accepted(call);
      }
      call?.finish(result);
    }
    for (const refused of response.refused) {
      this.#refused(refused);
    }
    if (this.#overloaded.length > 0 && response.started.length > 0) {
      this.#retryOverloaded(); // the server has capacity again
    } else if (this.#outgoing.length > 0) {
      this.#wake.set();
    }
  }

  #accepted(call: SessionCall<unknown>): void {
    if (call.inFlight) {
      this.#window.accepted();
      call.inFlight = false;
    }
    this.#acknowledged();
  }

  #refused({ callId, code, reason, message, retryAfterMs }: SessionRefused): void {
    const call = this.#calls.get(callId);
    if (!call) {
      return;
    }
    const error = refusalOf(code, reason, message, Number(retryAfterMs));
    const isOverloaded = error.reason === "OVERLOADED";
    if (call.inFlight) {
      this.#window.refused(isOverloaded);
      call.inFlight = false;
    }
    const now = performance.now();
    call.refusedAt ??= now;
    const delayMs = retryDelayMs(error, limits.RETRY_WAIT_MS);
    if (delayMs === undefined || now + delayMs > call.refusedAt + limits.RETRY_TOTAL_MS) {
      this.#drop(call, error);
    } else if (call.request && isOverloaded) {
      if (this.#overloaded.length === 0) {
        this.#later(delayMs, () => this.#retryOverloaded());
      }
      this.#overloaded.push(call);
    } else {
      this.#later(delayMs, () => {
        (call.request ? this.#outgoing : this.#watching).push(call);
        this.#wake.set();
      });
    }
  }

  /** Queue the refused starts before those that were never sent. */
  #retryOverloaded(): void {
    const again = this.#overloaded.sort((one, other) => Number(one.callId - other.callId));
    this.#outgoing = [...again, ...this.#outgoing];
    this.#overloaded = [];
    this.#wake.set();
  }

  /** Queue all unacknowledged starts and pending results again, after a reconnect. */
  #resend(): void {
    this.#window.inFlight = 0;
    this.#overloaded = [];
    const calls = [...this.#calls.values()];
    for (const call of calls) {
      call.inFlight = false;
    }
    this.#outgoing = calls.filter(({ request }) => request);
    this.#watching = calls.filter(({ request }) => !request);
    this.#wake.set();
  }

  #drop(call: SessionCall<unknown>, error: Error): void {
    if (this.#calls.delete(call.callId)) {
      if (call.request) {
        this.#acknowledged();
      }
      call.fail(error);
    }
  }

  #failAll(error: Error): void {
    for (const call of [...this.#calls.values()]) {
      this.#drop(call, error);
    }
  }

  #acknowledged(): void {
    this.#unacknowledged -= 1;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) {
      wake();
    }
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  #later(delayMs: number, action: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, delayMs);
    this.#timers.add(timer);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
}
