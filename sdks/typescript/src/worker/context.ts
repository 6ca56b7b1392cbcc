/** What a handler knows of its task, and what it reports while it runs. */
import { invalid, TaskCancelled } from "../errors.js";
import { encodeJson, type Json } from "../json.js";
import * as limits from "../limits.js";
import type { Client } from "../node/client.js";
import type { Task } from "../proto/flowmesh/api/worker/v1/task_pb.js";

/** Level of a line in the log of a task. */
export type LogLevel = "debug" | "info" | "warning" | "error";

/** The cancellation of a task; its signal is made once a handler asks for it. @internal */
export class Cancellation {
  #controller: AbortController | undefined;
  #reason: TaskCancelled | undefined;

  get reason(): TaskCancelled | undefined {
    return this.#reason;
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#reason) {
        this.#controller.abort(this.#reason);
      }
    }
    return this.#controller.signal;
  }

  cancel(reason: TaskCancelled): void {
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}

/** The task of a handler: facts, heartbeats, cancellation and its log. */
export class TaskContext {
  readonly #cancellation: Cancellation;
  readonly #task: Task;
  readonly #report: (token: string, details: Uint8Array) => void;
  readonly #log = new TaskLog();

  /** @internal */
  constructor(
    task: Task,
    /** Parameters of the task in the definition, not rendered. */
    readonly config: Json,
    cancellation: Cancellation,
    /** Client of the worker; its calls belong to the trace of the task. */
    readonly client: Client,
    report: (token: string, details: Uint8Array) => void,
  ) {
    this.#task = task;
    this.#cancellation = cancellation;
    this.#report = report;
    this.deadline = task.timeoutMs ? new Date(Date.now() + Number(task.timeoutMs)) : undefined;
  }

  /** Time at which the attempt times out; undefined without a limit. */
  readonly deadline: Date | undefined;

  /** Aborts when the task is canceled or its time is over; its reason is `TaskCancelled`. */
  get signal(): AbortSignal {
    return this.#cancellation.signal;
  }

  /** True once the task is canceled or its time is over. */
  get isCanceled(): boolean {
    return this.#cancellation.reason !== undefined;
  }

  /** Number of the attempt, from 1. */
  get attempt(): number {
    return this.#task.attempt;
  }

  /** Key that all attempts of this node share; pass it to the services that you call. */
  get idempotencyKey(): string {
    return this.#task.idempotencyKey;
  }

  get executionId(): string {
    return this.#task.executionId;
  }

  get workflowId(): string {
    return this.#task.workflowId;
  }

  get namespace(): string {
    return this.#task.namespace;
  }

  get node(): string {
    return this.#task.node;
  }

  get taskType(): string {
    return this.#task.taskType;
  }

  /** Time limit of the attempt; 0 is none. */
  get timeoutMs(): number {
    return Number(this.#task.timeoutMs);
  }

  /** W3C trace context of the execution; empty if its start had none. */
  get traceparent(): string {
    return this.#task.traceparent;
  }

  /** Report that the task is alive, with details of at most 64 KiB; throws if it is canceled. */
  heartbeat(details?: unknown): void {
    if (this.#cancellation.reason) {
      throw this.#cancellation.reason;
    }
    const data = details === undefined ? new Uint8Array() : encodeJson(details, "details");
    if (data.length > limits.HEARTBEAT_BYTES_MAX) {
      const text = `details of a heartbeat have ${data.length} bytes; they are limited to 64 KiB`;
      throw invalid("REQUEST_INVALID", text);
    }
    this.#report(this.#task.token, data);
  }

  /** Wait; throws `TaskCancelled` as soon as the task is canceled. */
  async sleep(ms: number): Promise<void> {
    this.signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer);
        reject(this.signal.reason);
      };
      const timer = setTimeout(
        () => {
          this.signal.removeEventListener("abort", stop);
          resolve();
        },
        Math.min(ms, limits.TIMER_MAX_MS),
      );
      this.signal.addEventListener("abort", stop, { once: true });
    });
  }

  /** Add a line to the log of the node; about 16 KiB per attempt are stored. */
  log(message: string, level: LogLevel = "info", fields?: Record<string, unknown>): void {
    this.#log.line(message, level, fields);
  }

  /** Add `value` to a metric of the node. */
  metric(name: string, value = 1): void {
    this.#log.metric(name, value);
  }

  /** Lines and metrics of the attempt, to be stored with its result. @internal */
  get logged(): Record<string, unknown> | undefined {
    return this.#log.content;
  }
}

/** Return the reason of the signal of a task. @internal */
export function cancelled(node: string, executionId: string, why: string): TaskCancelled {
  return new TaskCancelled(`task ${node} of ${executionId} ${why}`);
}

/** Lines and metrics of one attempt; entries over the limit are counted and dropped. */
class TaskLog {
  readonly #lines: unknown[] = [];
  readonly #metrics: Record<string, number> = {};
  #freeBytes = limits.TASK_LOG_BYTES_MAX;
  #dropped = 0;

  line(message: string, level: LogLevel, fields: Record<string, unknown> | undefined): void {
    const text = String(message).toWellFormed().slice(0, limits.TASK_LOG_LINE_CHARS_MAX);
    const line = { level, message: text, ...(fields && { fields: plain(fields) }) };
    if (this.#take(JSON.stringify(line).length)) {
      this.#lines.push(line);
    }
  }

  metric(name: string, value: number): void {
    const total = (this.#metrics[name] ?? 0) + value;
    if (!Number.isFinite(total)) {
      throw invalid("REQUEST_INVALID", `the metric ${name} becomes ${total}, which is not finite`);
    }
    if (name in this.#metrics || this.#take(name.length + 24)) {
      this.#metrics[name] = total;
    }
  }

  get content(): Record<string, unknown> | undefined {
    const hasMetrics = Object.keys(this.#metrics).length > 0;
    if (this.#lines.length === 0 && !hasMetrics && this.#dropped === 0) {
      return undefined;
    }
    return {
      ...(this.#lines.length > 0 && { log: this.#lines }),
      ...(hasMetrics && { metrics: this.#metrics }),
      ...(this.#dropped > 0 && { dropped: this.#dropped }),
    };
  }

  #take(bytes: number): boolean {
    if (bytes > this.#freeBytes) {
      this.#dropped += 1;
      return false;
    }
    this.#freeBytes -= bytes;
    return true;
  }
}

/** Return fields as they are now; fields that are not JSON as one text. */
function plain(fields: Record<string, unknown>): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(encodeJson(fields)));
  } catch {
    return { text: String(Object.keys(fields)) };
  }
}
