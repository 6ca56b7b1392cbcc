/** Runs handlers and turns their outcomes into results, independent of the stream. */
import { FlowmeshError } from "../errors.js";
import * as limits from "../limits.js";
import type { Client } from "../node/client.js";
import { beginTask } from "../node/trace.js";
import type { Task } from "../proto/flowmesh/api/worker/v1/task_pb.js";
import { Cancellation, cancelled, TaskContext } from "./context.js";
import { failed, type Result, thrown, transferFailed, withLog } from "./results.js";

/** Runs the tasks of one type: takes the input, returns the output. */
// biome-ignore lint/suspicious/noExplicitAny: handlers name the type of their own input
export type TaskHandler<In = any, Out = unknown> = (
  input: In,
  context: TaskContext,
) => Out | Promise<Out>;

interface Running {
  readonly task: Task;
  readonly cancellation: Cancellation;
  /** Gives up the handler with this result if it does not end in time. */
  giveUp: (result: Result) => void;
  timer: NodeJS.Timeout | undefined;
  isTimedOut: boolean;
}

/** Calls `finished` exactly once for every task that it accepts. @internal */
export class TaskRunner {
  readonly #running = new Map<string, Running>();

  constructor(
    private readonly handlers: ReadonlyMap<string, TaskHandler>,
    private readonly client: Client,
    private readonly finished: (result: Result) => void,
    private readonly heartbeat: (token: string, details: Uint8Array) => void,
  ) {}

  /** Tokens of the running tasks. */
  get held(): IterableIterator<string> {
    return this.#running.keys();
  }

  get size(): number {
    return this.#running.size;
  }

  holds(token: string): boolean {
    return this.#running.has(token);
  }

  /** Start a task; a type without a handler and a task with a journal fail. */
  accept(task: Task, config: Uint8Array): void {
    const { token, taskType } = task;
    const handler = this.handlers.get(taskType);
    if (!handler) {
      const text = `this worker has no handler for '${taskType}'`;
      this.finished(failed(token, "HandlerMissing", text));
      return;
    }
    if (task.journal) {
      const text = "durable handlers run on workers in Python only";
      this.finished(failed(token, "Unsupported", text));
      return;
    }
    const running: Running = {
      task,
      cancellation: new Cancellation(),
      giveUp: () => {},
      timer: undefined,
      isTimedOut: false,
    };
    this.#running.set(token, running);
    if (task.timeoutMs) {
      const timeoutMs = Math.min(Number(task.timeoutMs), limits.TIMER_MAX_MS);
      running.timer = setTimeout(() => {
        running.isTimedOut = true;
        this.cancel(token);
      }, timeoutMs);
    }
    void this.#run(handler, running, config);
  }

  /** Tell a handler that its task is no longer wanted; it has 1 s to end. */
  cancel(token: string): void {
    const running = this.#running.get(token);
    if (!running || running.cancellation.reason) {
      return;
    }
    const { task, isTimedOut } = running;
    const why = isTimedOut ? `had no result within ${task.timeoutMs} ms` : "is no longer wanted";
    clearTimeout(running.timer);
    running.timer = setTimeout(
      () => running.giveUp(this.#stopped(running)),
      limits.WORKER_CANCEL_MS,
    );
    running.cancellation.cancel(cancelled(task.node, task.executionId, why));
  }

  /** Cancel the running tasks and wait for them, for at most 1 s. */
  async close(): Promise<void> {
    const tokens = [...this.#running.keys()];
    for (const token of tokens) {
      this.cancel(token);
    }
    const until = performance.now() + limits.WORKER_CANCEL_MS + 100;
    while (this.#running.size > 0 && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async #run(handler: TaskHandler, running: Running, config: Uint8Array): Promise<void> {
    const { task, cancellation } = running;
    const span = beginTask(`task ${task.taskType}`, task.traceparent, {
      "flowmesh.execution_id": task.executionId,
      "flowmesh.workflow_id": task.workflowId,
      "flowmesh.node": task.node,
      "flowmesh.attempt": task.attempt,
    });
    const context = new TaskContext(
      task,
      this.client.payloads.json(config),
      cancellation,
      this.client,
      this.heartbeat,
    );
    const givenUp = new Promise<Result>((resolve) => {
      running.giveUp = resolve;
    });
    const attempt = span.run(() => this.#attempt(handler, running, context));
    const result = withLog(await Promise.race([attempt, givenUp]), context.logged);
    clearTimeout(running.timer);
    this.#running.delete(task.token);
    span.end(result.outcome.case === "failure" ? result.outcome.value.class : "");
    this.finished(result);
  }

  async #attempt(handler: TaskHandler, running: Running, context: TaskContext): Promise<Result> {
    const { task, cancellation } = running;
    const { token } = task;
    const { payloads } = this.client;
    let step = "input";
    try {
      const input = await payloads.unpack(task.input);
      step = "handler";
      const output = await handler(input, context);
      step = "output";
      const value = await payloads.pack(output, "value");
      return { token, outcome: { case: "output", value } };
    } catch (error) {
      if (step !== "handler" && error instanceof FlowmeshError) {
        return transferFailed(token, step, error);
      }
      const { reason } = cancellation;
      const isStop = reason !== undefined && isAbort(error, reason);
      return isStop ? this.#stopped(running) : thrown(token, error);
    }
  }

  #stopped({ task, isTimedOut }: Running): Result {
    return isTimedOut
      ? failed(task.token, "Timeout", `no result within ${task.timeoutMs} ms`)
      : failed(task.token, "Cancelled", "the task was canceled");
  }
}

/** Return whether an error of a handler follows from the end of its signal. */
function isAbort(error: unknown, reason: Error): boolean {
  return error === reason || (error instanceof Error && error.name === "AbortError");
}
