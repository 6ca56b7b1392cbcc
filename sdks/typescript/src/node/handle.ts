/** A handle of an execution: wait for it, watch it, signal and control it. */
import { ExecutionFailed, FlowmeshError, stillRunning } from "../errors.js";
import type { Json } from "../json.js";
import * as limits from "../limits.js";
import { ControlService } from "../proto/flowmesh/api/execution/v1/control_service_pb.js";
import type { Execution as ExecutionMessage } from "../proto/flowmesh/api/execution/v1/execution_pb.js";
import { ExecutionService } from "../proto/flowmesh/api/execution/v1/execution_service_pb.js";
import { type Event, type Execution, isStored, type Status } from "../values.js";
import { type ChangeOptions, type Connection, change } from "./connection.js";
import { history, watchExecution } from "./subscriptions.js";
import { executionOf } from "./views.js";

/** Options of a wait. */
export interface WaitOptions {
  /** Time after which the wait fails with `SYNC_TIMEOUT`; the execution continues. */
  readonly timeoutMs?: number;
  /** Ends the wait; the execution continues. */
  readonly signal?: AbortSignal;
}

/** Options of a stream of the events of one execution. */
export interface EventsOptions {
  /** Sequence of the last event that is known already. */
  readonly after?: number;
  /** Only events of these types, and always the last one. */
  readonly types?: readonly string[];
  /** Ends the stream. */
  readonly signal?: AbortSignal;
}

/** Options of a call that stops an execution. */
export interface StopOptions extends ChangeOptions {
  readonly reason?: string;
}

/** Options of a cancellation or termination. */
export interface EndOptions extends StopOptions {
  /** Compensate completed nodes first; by default the workflow decides. */
  readonly compensate?: boolean;
}

/** A decision on an approval. */
export interface Decision extends ChangeOptions {
  /** Person who decides. */
  readonly by: string;
  readonly approved?: boolean;
  readonly comment?: string;
  /** Values of the form of the approval. */
  readonly form?: unknown;
}

/** One execution by its id. Cheap to create; holds no connection open. */
export class Handle<Out = Json> {
  readonly #connection: Connection;
  #ended: ExecutionMessage | undefined;

  /** @internal */
  constructor(
    connection: Connection,
    /** Id of the execution. */
    readonly id: string,
    /** False if an earlier call with the same request id started it. */
    readonly created = true,
    ended?: ExecutionMessage,
  ) {
    this.#connection = connection;
    this.#ended = ended;
  }

  /** Wait for the end and return the execution. */
  async wait(options: WaitOptions = {}): Promise<Execution> {
    this.#ended ??= await this.#awaited(options);
    return executionOf(this.#ended, this.#connection.payloads);
  }

  /** Wait for the end and return the output; throws `ExecutionFailed` if it did not complete. */
  async result(options: WaitOptions = {}): Promise<Out> {
    const execution = await this.wait(options);
    if (execution.status !== "completed") {
      throw new ExecutionFailed(this.id, execution.status, execution.failure);
    }
    if (execution.erased) {
      const text = `the values of ${this.id} were erased on request`;
      throw new FlowmeshError("WrongState", "PAYLOAD_ERASED", text);
    }
    return (await this.#connection.payloads.unpack(this.#ended?.output)) as Out;
  }

  async #awaited({ timeoutMs, signal }: WaitOptions): Promise<ExecutionMessage> {
    const until = performance.now() + (timeoutMs ?? Number.POSITIVE_INFINITY);
    const { caller } = this.#connection;
    for (;;) {
      const leftMs = Math.max(until - performance.now(), 1);
      const pollMs = wholeMs(Math.min(leftMs, limits.WAIT_POLL_MS));
      const response = await caller.call(
        ExecutionService.method.waitExecution,
        { ...this.#named, timeoutMs: pollMs },
        { timeoutMs: Number(pollMs) + limits.CALL_TIMEOUT_MS, withinMs: leftMs, signal },
      );
      if (response.ended && response.execution) {
        return response.execution;
      }
      if (performance.now() >= until) {
        throw stillRunning(this.id, timeoutMs ?? 0);
      }
    }
  }

  /** Return the last committed state, with the nodes of the graph and of items in progress. */
  async describe(options: { endedItems?: boolean; node?: string } = {}): Promise<Execution> {
    const { endedItems = false, node = "" } = options;
    const { caller, payloads } = this.#connection;
    const request = { ...this.#named, endedItems, node };
    const response = await caller.call(ExecutionService.method.getExecution, request);
    if (!response.execution) {
      throw new FlowmeshError("Internal", "INTERNAL", "the answer has no execution");
    }
    return executionOf(response.execution, payloads);
  }

  /** Return the last committed status. */
  async status(): Promise<Status> {
    return (await this.describe()).status;
  }

  /** Return the outputs of completed nodes by node id; stored values are fetched. */
  async outputs(): Promise<Record<string, Json>> {
    const outputs: Record<string, Json> = {};
    for (const { id, status, output } of (await this.describe()).nodes) {
      if (status === "completed") {
        outputs[id] = isStored(output)
          ? await this.#connection.payloads.fetch(output)
          : (output as Json);
      }
    }
    return outputs;
  }

  /** Return the current values of the variables of the workflow. */
  async variables(): Promise<Execution["variables"]> {
    return (await this.describe()).variables;
  }

  /** Watch its events up to the last, without gap or repeat; a broken stream is reopened. */
  events(options: EventsOptions = {}): AsyncGenerator<Event> {
    return watchExecution(this.#connection, this.id, options);
  }

  /** Read the stored events with a sequence above `after`. */
  history(options: { after?: number } = {}): AsyncGenerator<Event> {
    return history(this.#connection, this.id, options.after ?? 0);
  }

  /** Send a signal; return the sequence of its event. */
  async signal(name: string, payload?: unknown, options: ChangeOptions = {}): Promise<number> {
    const { caller, payloads } = this.#connection;
    const packed = await payloads.pack(payload, "payload");
    const request = { ...this.#changed(options), name, payload: packed };
    const response = await caller.call(ExecutionService.method.signalExecution, request);
    return Number(response.sequence);
  }

  /** Cancel the execution: its running tasks are canceled and no further task starts. */
  async cancel(options: EndOptions = {}): Promise<void> {
    const request = { ...options, ...this.#changed(options) };
    await this.#connection.caller.call(ExecutionService.method.cancelExecution, request);
  }

  /** Terminate the execution; it compensates only if the workflow or `compensate` requires it. */
  async terminate(options: EndOptions = {}): Promise<void> {
    const request = { ...options, ...this.#changed(options) };
    await this.#connection.caller.call(ExecutionService.method.terminateExecution, request);
  }

  /** Pause the execution: no new task starts; running tasks continue. */
  async pause({ reason = "", ...options }: StopOptions = {}): Promise<void> {
    const request = { ...this.#changed(options), reason };
    await this.#connection.caller.call(ExecutionService.method.pauseExecution, request);
  }

  /** Resume a paused execution. */
  async resume({ reason = "", ...options }: StopOptions = {}): Promise<void> {
    const request = { ...this.#changed(options), reason };
    await this.#connection.caller.call(ExecutionService.method.resumeExecution, request);
  }

  /** Set a variable of the workflow; return the sequence of the event. */
  async setVariable(name: string, value: unknown, options: StopOptions = {}): Promise<number> {
    const { caller, payloads } = this.#connection;
    const { reason = "" } = options;
    const packed = await payloads.pack(value);
    const request = { ...this.#changed(options), name, value: packed, reason };
    return Number((await caller.call(ControlService.method.setVariable, request)).sequence);
  }

  /** Decide an approval; return `approved` or `rejected` once it is decided, else "". */
  async decide(node: string, decision: Decision): Promise<string> {
    const { by, approved = true, comment = "", form } = decision;
    const { caller, payloads } = this.#connection;
    const packed = form === undefined ? {} : { form: await payloads.pack(form, "form") };
    const request = { ...this.#changed(decision), node, by, approved, comment, ...packed };
    return (await caller.call(ControlService.method.decideApproval, request)).outcome;
  }

  get #named(): { namespace: string; executionId: string } {
    return { namespace: this.#connection.namespace, executionId: this.id };
  }

  #changed(options: ChangeOptions) {
    return { ...change(this.#connection, options), executionId: this.id };
  }
}

/** Return a duration for a request: whole, not below 0, within the range of timers. @internal */
export function wholeMs(ms: number): bigint {
  return BigInt(Math.ceil(Math.min(Math.max(0, ms || 0), limits.TIMER_MAX_MS)));
}
