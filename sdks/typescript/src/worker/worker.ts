/** A worker: runs tasks with handlers that are registered by task type. */
import { randomUUID } from "node:crypto";
import { FlowmeshError, invalid } from "../errors.js";
import type { Json } from "../json.js";
import * as limits from "../limits.js";
import { Client, type ClientOptions } from "../node/client.js";
import type { TaskHandler } from "./runner.js";
import { WorkStream } from "./stream.js";

/** Options of a worker; each is optional. */
export interface WorkerOptions {
  /** A client that others use too, or the options of an own one. */
  readonly client?: Client | ClientOptions;
  /** Queues to serve; by default `default`. */
  readonly queues?: readonly string[];
  /** Number of tasks that run at once: 100 by default, at most 10,000. */
  readonly slots?: number;
  /** Labels that tasks may require. */
  readonly labels?: { readonly [name: string]: string };
  /** Identity of this process, never reused; random by default. */
  readonly workerId?: string;
  /** Time that running tasks have after a stop, 10 s by default. */
  readonly drainMs?: number;
}

/** Runs tasks of the types that have handlers: `worker.task("charge", async (input) => …)`. */
export class Worker {
  readonly workerId: string;
  readonly #options: WorkerOptions;
  readonly #handlers = new Map<string, TaskHandler>();
  readonly #client: Client;
  readonly #ownsClient: boolean;
  #slots: number;
  #stream: WorkStream | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: WorkerOptions = {}) {
    this.#options = options;
    this.#slots = checkedSlots(options.slots ?? limits.WORKER_SLOTS);
    this.workerId = options.workerId || `worker-${randomUUID()}`;
    this.#ownsClient = !(options.client instanceof Client);
    this.#client = options.client instanceof Client ? options.client : new Client(options.client);
  }

  /** Number of tasks that run now. */
  get running(): number {
    return this.#stream?.running ?? 0;
  }

  /** Register the handler of a task type, before the worker starts. */
  task<In = Json, Out = unknown>(taskType: string, handler: TaskHandler<In, Out>): this {
    if (typeof handler !== "function") {
      throw invalid("HELLO_INVALID", `the handler of '${taskType}' is no function`);
    }
    if (this.#stream) {
      throw invalid("HELLO_INVALID", "the worker is running; register handlers before it starts");
    }
    if (this.#handlers.has(taskType)) {
      throw invalid("HELLO_INVALID", `'${taskType}' has a handler already`);
    }
    this.#handlers.set(taskType, handler);
    return this;
  }

  /** Change the number of tasks that run at once. */
  setSlots(slots: number): void {
    this.#slots = checkedSlots(slots);
    this.#stream?.setSlots(slots);
  }

  /**
   * Connect, and return once the worker service accepted the hello.
   *
   * Throws its refusal, or `SERVICE_UNAVAILABLE` if no service responds for 60 s.
   */
  async start(): Promise<void> {
    if (this.#handlers.size === 0) {
      throw invalid("HELLO_INVALID", "a worker needs at least one handler");
    }
    if (this.#stream) {
      throw invalid("HELLO_INVALID", "the worker was started already");
    }
    this.#stream = new WorkStream(this.#client, this.#handlers, {
      workerId: this.workerId,
      namespace: this.#client.namespace,
      queues: this.#options.queues ?? [],
      slots: this.#slots,
      labels: this.#options.labels ?? {},
    });
    try {
      await this.#stream.ready();
    } catch (error) {
      await this.stop(0);
      throw error;
    }
  }

  /** Run until `signal` aborts, or SIGINT or SIGTERM comes, then drain. */
  async run(signal?: AbortSignal): Promise<void> {
    let stop: () => void = () => {};
    const stopped = new Promise<void>((resolve) => {
      stop = resolve;
    });
    const signals = signal ? [] : (["SIGINT", "SIGTERM"] as const);
    for (const name of signals) {
      process.once(name, stop);
    }
    signal?.addEventListener("abort", stop, { once: true });
    if (signal?.aborted) {
      stop();
    }
    try {
      const started = this.start();
      started.catch(() => {});
      await Promise.race([stopped, started]);
      await Promise.race([stopped, this.ended()]);
    } finally {
      for (const name of signals) {
        process.off(name, stop);
      }
      signal?.removeEventListener("abort", stop);
      await this.stop();
    }
  }

  /** Wait for the end of the worker; throws the error that ended it, if any. */
  async ended(): Promise<void> {
    const error = await this.#stream?.ended;
    if (error) {
      throw error;
    }
  }

  /** Drain: accept no tasks, wait at most `drainMs` for running ones, cancel the rest. */
  stop(drainMs: number = this.#options.drainMs ?? limits.WORKER_DRAIN_MS): Promise<void> {
    this.#stopping ??= this.#stop(drainMs);
    return this.#stopping;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #stop(drainMs: number): Promise<void> {
    await this.#stream?.drain(drainMs);
    await this.#stream?.close();
    if (this.#ownsClient) {
      await this.#client.close();
    }
  }
}

function checkedSlots(slots: number): number {
  if (!Number.isInteger(slots) || slots < 1 || slots > limits.WORKER_SLOTS_MAX) {
    const text = `slots must be 1 to ${limits.WORKER_SLOTS_MAX}, not ${slots}`;
    throw new FlowmeshError("Invalid", "HELLO_INVALID", text);
  }
  return slots;
}
