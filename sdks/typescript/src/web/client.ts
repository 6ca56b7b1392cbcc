/** The client for browsers: REST and Server-Sent Events of the gateway. */
import { draining, ExecutionFailed, FlowmeshError, stillRunning } from "../errors.js";
import type { Json } from "../json.js";
import * as limits from "../limits.js";
import { type Event, type Failure, isLast, isStored, type Status } from "../values.js";
import { errorOf, paused, Rest, type RestRequest, type WebClientOptions } from "./rest.js";
import type * as RestTypes from "./rest_types.js";
import { type SentEvent, sentEvents } from "./sse.js";

/** An execution as in the REST API. */
export type WebExecution = RestTypes.ExecutionAnswer;
/** An execution in a list. */
export type WebExecutionSummary = RestTypes.ExecutionSummary;
/** Shapes of the REST API; `Reads` and `Writes` have the query, body and answer of each path. */
export type * as RestTypes from "./rest_types.js";

/** Options of a change. */
export interface WebChangeOptions {
  /** Idempotency key: a repeated call with it returns the first answer. */
  readonly requestId?: string;
  readonly reason?: string;
}

/** Options of a start. */
export interface WebStartOptions {
  readonly requestId?: string;
  /** Number or label of the version; by default the newest. */
  readonly version?: number | string;
  readonly labels?: { readonly [name: string]: string };
}

/** Options of a stream of events. */
export interface WebEventsOptions {
  /** Sequence, or cursor, of the last event that is known already. */
  readonly after?: number | string;
  readonly types?: readonly string[];
  readonly signal?: AbortSignal;
}

/** Options of a wait. */
export interface WebWaitOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const EXECUTIONS = "/api/v1/executions";
const WORKFLOWS = "/api/v1/workflows";
/** A stream without a heartbeat for this long is opened again. */
const SILENCE_MS = 45_000;

/** One execution by its id. */
export class WebHandle<Out = Json> {
  readonly #rest: Rest;

  /** @internal */
  constructor(
    rest: Rest,
    readonly id: string,
  ) {
    this.#rest = rest;
  }

  /** Return the last committed state. */
  async describe(): Promise<WebExecution> {
    return (await this.#rest.json("GET", this.#path(""))) as unknown as WebExecution;
  }

  /** Wait for the end and return the execution. */
  async wait({ timeoutMs, signal }: WebWaitOptions = {}): Promise<WebExecution> {
    const stop = new AbortController();
    const abort = () => stop.abort(signal?.reason);
    signal?.addEventListener("abort", abort);
    const late = () => stop.abort(stillRunning(this.id, timeoutMs ?? 0));
    const timer = timeoutMs === undefined ? undefined : setTimeout(late, timeoutMs);
    try {
      for await (const _ of this.events({ types: ["WorkflowCompleted"], signal: stop.signal })) {
        // Only the last event, whatever its type.
      }
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
    return this.describe();
  }

  /** Wait for the end and return the output; throws `ExecutionFailed` if it did not complete. */
  async result(options: WebWaitOptions = {}): Promise<Out> {
    const { status, error, output } = await this.wait(options);
    if (status !== "completed") {
      throw new ExecutionFailed(this.id, status as Status, error && failureOf(error));
    }
    const stored = isStored(output) ? output.$payload.digest : "";
    const value = stored ? await this.#rest.json("GET", `/api/v1/payloads/${stored}`) : output;
    return value as Out;
  }

  /** Watch its events up to the last, without gap or repeat; a broken stream is reopened. */
  async *events(options: WebEventsOptions = {}): AsyncGenerator<Event> {
    let known = Number(options.after ?? 0);
    const { types, signal } = options;
    const after = known ? String(known) : "";
    const path = this.#path("/events");
    for await (const event of stream(this.#rest, path, { type: types }, after, signal)) {
      const isDerived = event.type === "SignalFlow";
      if (isDerived || event.sequence > known) {
        known = isDerived ? known : event.sequence;
        yield event;
      }
      if (event.last) {
        return;
      }
    }
  }

  /** Send a signal; return the sequence of its event. */
  async signal(name: string, payload?: unknown, options: WebChangeOptions = {}): Promise<number> {
    const body = { name, payload, ...identified(options) };
    const answer = await this.#rest.json("POST", this.#path(":signal"), { body });
    return Number((answer as { sequence: number }).sequence);
  }

  /** Cancel the execution. */
  async cancel(options: WebChangeOptions = {}): Promise<void> {
    await this.#steered("cancel", options);
  }

  /** Terminate the execution. */
  async terminate(options: WebChangeOptions = {}): Promise<void> {
    await this.#steered("terminate", options);
  }

  /** Pause the execution: no new task starts. */
  async pause(options: WebChangeOptions = {}): Promise<void> {
    await this.#steered("pause", options);
  }

  /** Resume a paused execution. */
  async resume(options: WebChangeOptions = {}): Promise<void> {
    await this.#steered("resume", options);
  }

  async #steered(action: string, options: WebChangeOptions): Promise<void> {
    const body = { ...options, ...identified(options) };
    await this.#rest.json("POST", this.#path(`:${action}`), { body });
  }

  #path(rest: string): string {
    return `${EXECUTIONS}/${encodeURIComponent(this.id)}${rest}`;
  }
}

/** A client of the gateway for browsers; it needs nothing but fetch. */
export class WebClient {
  readonly #rest: Rest;

  constructor(options: WebClientOptions = {}) {
    this.#rest = new Rest(options);
  }

  /** Start an execution; it is durable once this returns. */
  async start<Out = Json>(
    workflow: string,
    input: unknown = {},
    options: WebStartOptions = {},
  ): Promise<WebHandle<Out>> {
    const body = { input, ...options, ...identified(options) };
    const path = `${WORKFLOWS}/${encodeURIComponent(workflow)}/start`;
    const answer = await this.#rest.json("POST", path, { body });
    return new WebHandle<Out>(this.#rest, (answer as { executionId: string }).executionId);
  }

  /** Start an execution, wait for its end and return its output. */
  async run<Out = Json>(
    workflow: string,
    input: unknown = {},
    options: WebStartOptions & WebWaitOptions = {},
  ): Promise<Out> {
    const { timeoutMs = limits.RUN_TIMEOUT_MS, signal, ...start } = options;
    const handle = await this.start<Out>(workflow, input, start);
    return handle.result({ timeoutMs, ...(signal && { signal }) });
  }

  /** Return a handle of an existing execution, without a call. */
  handle<Out = Json>(executionId: string): WebHandle<Out> {
    return new WebHandle<Out>(this.#rest, executionId);
  }

  /** List executions, newest first; the query is that of `GET /api/v1/executions`. */
  async *list(
    query: RestTypes.Reads[typeof EXECUTIONS]["query"] = {},
  ): AsyncGenerator<WebExecutionSummary> {
    for (let pageToken = ""; ; ) {
      const request = { query: { ...query, pageToken: pageToken || query.pageToken } };
      const page = (await this.#rest.json("GET", EXECUTIONS, request)) as unknown as {
        executions: WebExecutionSummary[];
        nextPageToken: string;
      };
      yield* page.executions;
      pageToken = page.nextPageToken;
      if (!pageToken) {
        return;
      }
    }
  }

  /** Watch the events of all executions of the namespace, from now or after a cursor. */
  events(options: WebEventsOptions & { readonly workflow?: string } = {}): AsyncGenerator<Event> {
    const { workflow, types, after = "", signal } = options;
    const query = { workflow, type: types };
    return stream(this.#rest, "/api/v1/events", query, String(after), signal);
  }

  /** Send any request of the REST API; a text as body is YAML, any other value JSON. */
  async request(
    method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE",
    path: keyof RestTypes.Reads | (string & {}),
    request: Omit<RestRequest, "timeoutMs"> = {},
  ): Promise<Json> {
    return this.#rest.json(method, path, request);
  }

  /** Cancel open requests; further ones fail with `DRAINING`. */
  close(): void {
    this.#rest.close();
  }
}

/** Yield the events of a stream, opened again after the last id where it breaks. */
async function* stream(
  rest: Rest,
  path: string,
  query: { readonly [name: string]: unknown },
  after: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Event> {
  let lastId = after;
  let retryMs = 1_000;
  let workedAt = performance.now();
  for (;;) {
    try {
      const headers: Record<string, string> = lastId ? { "last-event-id": lastId } : {};
      const request = { query, headers, signal };
      for await (const sent of opened(rest, path, request, (ms) => {
        retryMs = ms;
      })) {
        if (sent === undefined) {
          return; // the last event is known already
        }
        workedAt = performance.now();
        lastId = sent.id || lastId;
        yield eventOf(JSON.parse(sent.data), sent.id);
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (rest.isClosed) {
        throw draining("client");
      }
      if (!isTransient(error) || performance.now() - workedAt > limits.RECONNECT_TOTAL_MS) {
        throw error;
      }
    }
    await paused(retryMs * (0.5 + Math.random()), signal);
  }
}

/** Yield the events of one connection, or undefined if none will follow. */
async function* opened(
  rest: Rest,
  path: string,
  request: RestRequest,
  onRetry: (ms: number) => void,
): AsyncGenerator<SentEvent | undefined> {
  const stop = new AbortController();
  const abort = () => stop.abort();
  let timer = setTimeout(abort, SILENCE_MS);
  request.signal?.addEventListener("abort", abort);
  let release = () => {};
  try {
    const [response, done] = await rest.open("GET", path, { ...request, signal: stop.signal });
    release = done;
    if (response.status === 204) {
      yield undefined;
      return;
    }
    if (!response.ok || !response.body) {
      throw errorOf(response, await response.text());
    }
    const onBytes = () => {
      clearTimeout(timer);
      timer = setTimeout(abort, SILENCE_MS);
    };
    for await (const sent of sentEvents(response.body, onBytes, onRetry)) {
      if (sent.type === "StreamError") {
        throw new FlowmeshError("Unavailable", "SERVICE_UNAVAILABLE", sent.data);
      }
      yield sent;
    }
  } finally {
    clearTimeout(timer);
    request.signal?.removeEventListener("abort", abort);
    release();
  }
}

function isTransient(error: unknown): boolean {
  const isOfNetwork = !(error instanceof FlowmeshError);
  return isOfNetwork || ["Unavailable", "Overloaded", "Timeout"].includes(error.kind);
}

// biome-ignore lint/suspicious/noExplicitAny: the shape is that of the OpenAPI document
function eventOf(view: any, id: string): Event {
  return {
    type: view.type,
    sequence: view.sequence,
    executionId: view.executionId,
    workflowId: view.workflow,
    node: view.taskId ?? "",
    attempt: view.attempt ?? 0,
    at: view.timestamp ? new Date(view.timestamp) : undefined,
    data: view.data,
    cursor: id,
    last: isLast(view.type),
  };
}

function failureOf(error: RestTypes.FailureValue): Failure {
  const { class: name, message, taskId = "", state = "", details = null } = error;
  return { class: name, message, node: taskId, state, retryAfterMs: 0, details: details as Json };
}

function identified({ requestId }: { readonly requestId?: string }): { requestId: string } {
  return { requestId: requestId || crypto.randomUUID() };
}
