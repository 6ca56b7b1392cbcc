/** The client: starts executions, finds them again, and has the calls about everything else. */
import { Code, ConnectError } from "@connectrpc/connect";
import { draining, FlowmeshError, stillRunning } from "../errors.js";
import type { Json } from "../json.js";
import * as limits from "../limits.js";
import type { ExecutionStatus } from "../proto/flowmesh/api/execution/v1/execution_pb.js";
import { ExecutionService } from "../proto/flowmesh/api/execution/v1/execution_service_pb.js";
import { InsightService } from "../proto/flowmesh/api/history/v1/insight_service_pb.js";
import { AuthService } from "../proto/flowmesh/api/identity/v1/auth_service_pb.js";
import type { Event, Execution, Status } from "../values.js";
import { Caller } from "./caller.js";
import { type ChangeOptions, type Connection, change, pages } from "./connection.js";
import { credentialOf, type TokenSource } from "./credentials.js";
import { endpointOf, type Tls } from "./endpoint.js";
import { Handle, wholeMs } from "./handle.js";
import { Payloads } from "./payloads.js";
import type { Codec } from "./sealing.js";
import { Services } from "./services.js";
import { Session, versionFields } from "./session.js";
import { type AllEventsOptions, watchEvents } from "./subscriptions.js";
import { executionOf, numberOf } from "./views.js";
import { Workflows } from "./workflows.js";

/** Options of a client; each is optional. */
export interface ClientOptions {
  /**
   * `host:port`, or `grpcs://host:port` for TLS. By default FLOWMESH_ADDRESS, the suite of
   * `flowmesh dev` in this folder, or 127.0.0.1:7450.
   */
  readonly address?: string;
  /** By default FLOWMESH_NAMESPACE or `default`. */
  readonly namespace?: string;
  /** API key of a closed installation; by default FLOWMESH_API_KEY. */
  readonly apiKey?: string;
  /** Access token, or a function that returns one when the former expires; or FLOWMESH_TOKEN. */
  readonly token?: TokenSource;
  /** Files of TLS, or false to send a credential without it. By default FLOWMESH_CA and others. */
  readonly tls?: Tls | boolean;
  /** Recorded with each change; by default FLOWMESH_ACTOR. */
  readonly actor?: string;
  /** Decode integers beyond ±2^53 to `bigint` instead of rounding them. */
  readonly bigint?: boolean;
  /** Seals values before they leave, and opens those that arrive, such as {@link SealingKeys}. */
  readonly codec?: Codec;
}

/** Options of a start. */
export interface StartOptions extends ChangeOptions {
  /** Number or label of the version; by default the newest. */
  readonly version?: number | string;
  /** Wait at most this long for the end; the handle then has the result. */
  readonly waitMs?: number;
  /** Labels for searching the execution. */
  readonly labels?: { readonly [name: string]: string };
  /** Pause before these nodes until they are continued. */
  readonly breakpoints?: readonly string[];
  /** Ends the call; an execution that was started continues. */
  readonly signal?: AbortSignal;
}

/** Options of a start with its result. */
export interface RunOptions extends ChangeOptions {
  readonly version?: number | string;
  /** Time after which the call fails with `SYNC_TIMEOUT`; the execution continues. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Which executions to list. */
export interface ListOptions {
  readonly workflowId?: string;
  readonly statuses?: readonly Status[];
  readonly startedAfter?: Date;
  readonly startedBefore?: Date;
  /** Filter of docs/search.md, such as `label.team = "pay"`. */
  readonly filter?: string;
  /** `started`, `ended` or a search attribute, then `asc` or `desc`. */
  readonly orderBy?: string;
  readonly pageSize?: number;
}

/** One page of executions. */
export interface Page {
  readonly executions: readonly Execution[];
  /** Token of the next page; empty for the last one. */
  readonly nextPageToken: string;
}

/** A client of one server and namespace; `close()` it at the end. */
export class Client {
  /** Definitions of workflows. */
  readonly workflows: Workflows;
  /** Registered services. */
  readonly services: Services;
  /** Stored values of any size. */
  readonly payloads: Payloads;
  /** @internal */
  readonly connection: Connection;
  readonly #sessions = new Set<Session>();

  constructor(options: ClientOptions = {}) {
    const environment = process.env;
    const actor = options.actor || environment["FLOWMESH_ACTOR"] || "";
    const endpoint = endpointOf(options.address ?? "", options.tls);
    const credential = credentialOf(options.token, options.apiKey);
    const caller = new Caller(endpoint, credential);
    // The server takes the only namespace of a credential.
    const last = credential ? "" : "default";
    const namespace = options.namespace || environment["FLOWMESH_NAMESPACE"] || last;
    this.payloads = new Payloads(caller, namespace, options.bigint ?? false, options.codec);
    this.connection = { caller, payloads: this.payloads, namespace, actor };
    this.workflows = new Workflows(this.connection);
    this.services = new Services(this.connection);
  }

  /** Create a client and wait at most 5 s for its server. */
  static async connect(
    options: ClientOptions & { readonly timeoutMs?: number } = {},
  ): Promise<Client> {
    const client = new Client(options);
    try {
      await client.ready(options.timeoutMs);
    } catch (error) {
      await client.close();
      throw error;
    }
    return client;
  }

  /** Address of the server. */
  get address(): string {
    return this.connection.caller.endpoint.address;
  }

  get namespace(): string {
    return this.connection.namespace;
  }

  /** Wait for the server; throws an error that names the address after `timeoutMs`. */
  async ready(timeoutMs: number = limits.CONNECT_TIMEOUT_MS): Promise<void> {
    const { caller } = this.connection;
    const { listSigningKeys } = AuthService.method;
    const signal = AbortSignal.timeout(Math.min(timeoutMs, limits.TIMER_MAX_MS));
    try {
      const options = { timeoutMs, withinMs: timeoutMs, signal, isPublic: true };
      await caller.call(listSigningKeys, {}, options);
    } catch (error) {
      if (signal.aborted || (error instanceof FlowmeshError && error.kind === "Timeout")) {
        const text = `no server responds at ${this.address} within ${timeoutMs} ms`;
        throw new FlowmeshError("Unavailable", "SERVICE_UNAVAILABLE", text, { cause: error });
      }
      if (!(error instanceof FlowmeshError)) {
        throw error;
      }
      const isAnswer =
        error.cause === undefined ||
        (error.cause instanceof ConnectError && error.cause.code === Code.Unimplemented);
      if (error.kind === "Closed" || error.kind === "Unauthenticated" || !isAnswer) {
        throw error;
      }
    }
  }

  /** Close sessions, registrations and connections; open calls fail with `DRAINING`. */
  async close(): Promise<void> {
    if (this.connection.caller.isClosed) {
      return;
    }
    await this.services.close();
    await Promise.all([...this.#sessions].map((session) => session.close()));
    this.connection.caller.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Open a session: one stream for many starts and their results. */
  session(): Session {
    if (this.connection.caller.isClosed) {
      throw draining("client");
    }
    const session = new Session(this.connection);
    this.#sessions.add(session);
    return session;
  }

  /** Return a handle of an existing execution, without a call. */
  handle<Out = Json>(executionId: string): Handle<Out> {
    return new Handle<Out>(this.connection, executionId);
  }

  /** Start an execution; it is durable once this returns. */
  async start<Out = Json>(
    workflowId: string,
    input?: unknown,
    options: StartOptions = {},
  ): Promise<Handle<Out>> {
    return this.#start(workflowId, input, options, Number.POSITIVE_INFINITY);
  }

  /** Start an execution, wait for its end and return its output. */
  async run<Out = Json>(
    workflowId: string,
    input?: unknown,
    options: RunOptions = {},
  ): Promise<Out> {
    const { timeoutMs = limits.RUN_TIMEOUT_MS, signal, ...others } = options;
    const until = performance.now() + timeoutMs;
    const waitMs = Math.min(timeoutMs, limits.RUN_TIMEOUT_MS);
    const started = { ...others, waitMs, ...(signal && { signal }) };
    const handle = await this.#start<Out>(workflowId, input, started, timeoutMs);
    const leftMs = Math.max(until - performance.now(), 0);
    try {
      return await handle.result({ timeoutMs: leftMs, ...(signal && { signal }) });
    } catch (error) {
      const isLate = error instanceof FlowmeshError && error.reason === "SYNC_TIMEOUT";
      throw isLate ? stillRunning(handle.id, timeoutMs) : error;
    }
  }

  async #start<Out>(
    workflowId: string,
    input: unknown,
    options: StartOptions,
    withinMs: number,
  ): Promise<Handle<Out>> {
    const { waitMs = 0, signal } = options;
    const { payloads, caller } = this.connection;
    const response = await caller.call(
      ExecutionService.method.startExecution,
      {
        ...change(this.connection, options),
        ...versionFields(options.version),
        workflowId,
        input: await payloads.pack(input, "input"),
        waitMs: wholeMs(waitMs),
        labels: { ...options.labels },
        breakpoints: [...(options.breakpoints ?? [])],
        withoutNodes: Number.isFinite(withinMs),
      },
      { timeoutMs: Number(wholeMs(waitMs)) + limits.CALL_TIMEOUT_MS, withinMs, signal },
    );
    const { executionId, created, execution } = response;
    return new Handle<Out>(this.connection, executionId, created, execution);
  }

  /** List executions, newest first by default, without their nodes, inputs and outputs. */
  async *list(options: ListOptions = {}): AsyncGenerator<Execution> {
    const { listExecutions } = ExecutionService.method;
    const request = this.#listRequest(options);
    for await (const each of pages(this.connection, listExecutions, request, (p) => p.executions)) {
      yield executionOf(each, this.payloads);
    }
  }

  /** Return one page of executions, the first or that of a token. */
  async listPage(options: ListOptions & { readonly pageToken?: string } = {}): Promise<Page> {
    const request = { ...this.#listRequest(options), pageToken: options.pageToken ?? "" };
    const { listExecutions } = ExecutionService.method;
    const page = await this.connection.caller.call(listExecutions, request);
    const executions = page.executions.map((each) => executionOf(each, this.payloads));
    return { executions, nextPageToken: page.nextPageToken };
  }

  #listRequest(options: ListOptions) {
    return {
      namespace: this.namespace,
      workflowId: options.workflowId ?? "",
      statuses: (options.statuses ?? []).map(numberOf) as ExecutionStatus[],
      startedAfterUs: micros(options.startedAfter),
      startedBeforeUs: micros(options.startedBefore),
      filter: options.filter ?? "",
      orderBy: options.orderBy ?? "",
      pageSize: options.pageSize ?? 0,
    };
  }

  /** Watch the events of all executions of the namespace, from now or after a cursor. */
  events(options: AllEventsOptions = {}): AsyncGenerator<Event> {
    return watchEvents(this.connection, options);
  }

  /**
   * Signal every execution that waits for this name and key; return event sequences by id.
   *
   * With `ttlMs` a signal that no execution waits for is kept as long for the first that does.
   */
  async signalByKey(
    name: string,
    key: string,
    payload?: unknown,
    options: ChangeOptions & { ttlMs?: number } = {},
  ): Promise<Record<string, number>> {
    const packed = await this.payloads.pack(payload, "payload");
    const ttlMs = BigInt(options.ttlMs ?? 0);
    const request = { ...change(this.connection, options), name, key, payload: packed, ttlMs };
    const { signalByKey } = ExecutionService.method;
    const { executions } = await this.connection.caller.call(signalByKey, request);
    return Object.fromEntries(executions.map((each) => [each.executionId, Number(each.sequence)]));
  }

  /** Return the values of one variable over a run; `path` is written as in templates. */
  async watchVariable(executionId: string, path: string): Promise<Json> {
    const request = { namespace: this.namespace, executionId, path };
    const { watchVariable } = InsightService.method;
    const { report } = await this.connection.caller.call(watchVariable, request);
    return this.payloads.json(report);
  }

  /** Explain why an execution, or one of its nodes, waits now. */
  async explain(executionId: string, node = ""): Promise<Json> {
    const request = { namespace: this.namespace, executionId, node };
    const { explainExecution } = InsightService.method;
    const { report } = await this.connection.caller.call(explainExecution, request);
    return this.payloads.json(report);
  }
}

function micros(at: Date | undefined): bigint {
  return at ? BigInt(at.getTime()) * 1_000n : 0n;
}
