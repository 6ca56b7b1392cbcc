/**
 * The stream between a worker and a worker service, with reconnects.
 *
 * A result is kept until its frame is acknowledged. After a reconnect the hello lists the tokens of
 * all held tasks, and unacknowledged results are sent again with the same tokens.
 */
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { setImmediate as turn } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import * as limits from "../limits.js";
import type { Client } from "../node/client.js";
import { Reconnect } from "../node/reconnect.js";
import { Wake } from "../node/wake.js";
import { ResultExceptionKind, type Task } from "../proto/flowmesh/api/worker/v1/task_pb.js";
import {
  file_flowmesh_api_worker_v1_worker_service as contract,
  WorkerService,
  type WorkHelloSchema,
  type WorkRequestSchema,
  type WorkResponse,
} from "../proto/flowmesh/api/worker/v1/worker_service_pb.js";
import { failed, type Result, sizeOf } from "./results.js";
import { type TaskHandler, TaskRunner } from "./runner.js";

const { version } = createRequire(import.meta.url)("../../package.json") as { version: string };

type Hello = MessageInitShape<typeof WorkHelloSchema>;
type Frame = MessageInitShape<typeof WorkRequestSchema>;

/** What a worker offers. @internal */
export interface Offer {
  readonly workerId: string;
  readonly namespace: string;
  readonly queues: readonly string[];
  readonly slots: number;
  readonly labels: { readonly [name: string]: string };
}

/** Keeps a stream open and passes its tasks to a {@link TaskRunner}. @internal */
export class WorkStream {
  readonly #client: Client;
  readonly #hello: Hello & { slots: number };
  readonly #tasks: TaskRunner;
  readonly #wake = new Wake();
  readonly #end = new AbortController();
  readonly #specs = new Map<string, Uint8Array>();
  // Results to be written, and results that are written and not acknowledged.
  #outgoing: Result[] = [];
  readonly #waiting = new Set<string>();
  #frames: { readonly frame: bigint; readonly results: readonly Result[] }[] = [];
  readonly #unacknowledged = new Map<string, Result>();
  #unacknowledgedBytes = 0;
  #frame = 0n;
  readonly #heartbeats = new Map<string, Uint8Array>();
  #isPingDue = false;
  // A changed number of slots that is not sent yet; 0 is none.
  #pendingSlots = 0;
  #isDraining = false;
  #isDrainSent = false;
  #isServerDraining = false;
  #lastReceived = 0;
  #connection: AbortController | undefined;
  #idle: (() => void) | undefined;
  readonly #ready: Promise<void>;
  #isReady: () => void = () => {};
  /** Settles at the end of the stream, with the error that ended it, if any. */
  readonly ended: Promise<Error | undefined>;

  constructor(client: Client, handlers: ReadonlyMap<string, TaskHandler>, offer: Offer) {
    this.#client = client;
    this.#hello = {
      ...offer,
      queues: [...offer.queues],
      labels: { ...offer.labels },
      taskTypes: [...handlers.keys()],
      contractDigest: createHash("sha256")
        .update(toBinary(FileDescriptorProtoSchema, contract.proto))
        .digest("hex"),
      sdk: `typescript-${version}`,
    };
    this.#tasks = new TaskRunner(
      handlers,
      client,
      (result) => this.#finished(result),
      (token, details) => {
        if (this.#tasks.holds(token)) {
          this.#heartbeats.set(token, details);
          this.#wake.set();
        }
      },
    );
    this.#ready = new Promise((resolve) => {
      this.#isReady = resolve;
    });
    this.ended = this.#run().then(
      () => undefined,
      (error: Error) => (this.#end.signal.aborted ? undefined : error),
    );
  }

  /** Number of tasks that run. */
  get running(): number {
    return this.#tasks.size;
  }

  /** Wait for the answer to the hello; throws its refusal. */
  async ready(): Promise<void> {
    const error = await Promise.race([this.#ready, this.ended]);
    if (error) {
      throw error;
    }
  }

  /** Send another number of slots. */
  setSlots(slots: number): void {
    this.#hello.slots = slots;
    this.#pendingSlots = slots;
    this.#wake.set();
  }

  /** Accept no new tasks; wait until running ones are acknowledged, or for `timeoutMs`. */
  async drain(timeoutMs: number): Promise<void> {
    this.#isDraining = true;
    this.#wake.set();
    let timer: NodeJS.Timeout | undefined;
    const idle = new Promise<void>((resolve) => {
      this.#idle = resolve;
      timer = setTimeout(resolve, Math.min(timeoutMs, limits.TIMER_MAX_MS));
      this.#updateIdle();
    });
    await Promise.race([idle, this.ended]);
    clearTimeout(timer);
  }

  /** Close the stream, then cancel the tasks, whose results are not sent any more. */
  async close(): Promise<void> {
    this.#end.abort();
    this.#wake.set();
    await this.ended;
    await this.#tasks.close();
  }

  #finished(result: Result): void {
    this.#outgoing.push(result);
    this.#waiting.add(result.token);
    this.#heartbeats.delete(result.token);
    this.#wake.set();
  }

  async #run(): Promise<void> {
    const { caller } = this.#client.connection;
    const reconnect = new Reconnect(caller);
    let wasReady = false;
    for (;;) {
      reconnect.opening();
      const connection = new AbortController();
      const stop = () => connection.abort();
      this.#connection = connection;
      this.#end.signal.addEventListener("abort", stop);
      this.#lastReceived = performance.now();
      const alive = setInterval(() => this.#keepAlive(connection), limits.WORKER_PING_MS);
      try {
        const frames = this.#requests(connection.signal);
        const { work } = WorkerService.method;
        for await (const response of caller.stream(work, frames, connection.signal)) {
          this.#lastReceived = performance.now();
          reconnect.connected();
          wasReady = true;
          this.#receive(response);
          if (this.#isServerDraining && this.#isIdle) {
            break;
          }
        }
      } catch (error) {
        this.#end.signal.throwIfAborted();
        if (!connection.signal.aborted || caller.isClosed) {
          await reconnect.broken(error);
        }
      } finally {
        clearInterval(alive);
        this.#end.signal.removeEventListener("abort", stop);
        connection.abort();
        this.#wake.set();
      }
      if (caller.isClosed || reconnect.refused || (reconnect.hopeless && !wasReady)) {
        throw reconnect.error;
      }
      await reconnect.pause(this.#end.signal);
      this.#startOver();
    }
  }

  /** Ask for a sign of life; end a connection that is silent for too long. */
  #keepAlive(connection: AbortController): void {
    if (performance.now() - this.#lastReceived > limits.WORKER_SILENCE_MS) {
      connection.abort();
    }
    this.#isPingDue = true;
    this.#wake.set();
  }

  /** Queue all unacknowledged results again, in their order. */
  #startOver(): void {
    const again = this.#frames.flatMap(({ results }) => [...results]);
    this.#outgoing = [...again, ...this.#outgoing];
    for (const { token } of again) {
      this.#waiting.add(token);
    }
    this.#frames = [];
    this.#unacknowledged.clear();
    this.#unacknowledgedBytes = 0;
    this.#frame = 0n;
    this.#specs.clear();
    this.#isDrainSent = false;
    this.#isServerDraining = false;
  }

  async *#requests(signal: AbortSignal): AsyncGenerator<Frame> {
    const held = [...this.#tasks.held, ...this.#unacknowledged.keys(), ...this.#waiting];
    yield { hello: { ...this.#hello, held: [...new Set(held)] } };
    while (!signal.aborted) {
      for (let frame = this.#takeFrame(); frame; frame = this.#takeFrame()) {
        yield frame;
      }
      await this.#wake.wait();
      // Tasks that end in the same turn of the event loop share a frame.
      await turn();
    }
  }

  /** Return the next frame, up to its limits; undefined if there is nothing to send. */
  #takeFrame(): Frame | undefined {
    const results = this.#takeResults();
    const isDrainDue = this.#isDraining && !this.#isDrainSent;
    const isEmpty = results.length === 0 && this.#heartbeats.size === 0;
    if (isEmpty && !isDrainDue && !this.#isPingDue && !this.#pendingSlots) {
      return undefined;
    }
    const frame = {
      results: [...results],
      resultsFrame: results.length > 0 ? ++this.#frame : 0n,
      ping: this.#isPingDue,
      drain: isDrainDue,
      slots: this.#pendingSlots,
      heartbeats: this.#takeHeartbeats(),
    };
    if (results.length > 0) {
      this.#frames.push({ frame: this.#frame, results });
    }
    this.#isPingDue = false;
    this.#pendingSlots = 0;
    this.#isDrainSent ||= isDrainDue;
    return frame;
  }

  #takeResults(): Result[] {
    const results: Result[] = [];
    let bytes = 0;
    for (const result of this.#outgoing) {
      if (
        results.length >= limits.FRAME_ITEMS_MAX ||
        bytes >= limits.FRAME_BYTES_MAX ||
        this.#unacknowledged.size >= limits.RESULTS_MAX ||
        this.#unacknowledgedBytes >= limits.RESULTS_BYTES_MAX
      ) {
        break;
      }
      const size = sizeOf(result);
      bytes += size;
      this.#unacknowledgedBytes += size;
      this.#waiting.delete(result.token);
      this.#unacknowledged.set(result.token, result);
      results.push(result);
    }
    this.#outgoing.splice(0, results.length);
    return results;
  }

  #takeHeartbeats(): { token: string; details: Uint8Array }[] {
    const taken: { token: string; details: Uint8Array }[] = [];
    let bytes = 0;
    for (const [token, details] of this.#heartbeats) {
      if (bytes >= limits.FRAME_BYTES_MAX) {
        this.#wake.set();
        break;
      }
      this.#heartbeats.delete(token);
      taken.push({ token, details });
      bytes += details.length;
    }
    return taken;
  }

  #receive(response: WorkResponse): void {
    this.#isReady();
    for (const { token, kind } of response.exceptions) {
      const result = this.#unacknowledged.get(token);
      if (result && kind === ResultExceptionKind.MOVED) {
        this.#outgoing.push(result);
        this.#waiting.add(token);
        this.#wake.set();
      }
    }
    this.#acknowledge(response.acknowledgedFrame);
    for (const { digest, config } of response.specs) {
      this.#specs.set(digest, config);
    }
    for (const task of response.tasks) {
      const { token } = task;
      const isHeld = this.#unacknowledged.has(token) || this.#waiting.has(token);
      if (!isHeld && !this.#tasks.holds(token)) {
        this.#accept(task);
      }
    }
    for (const digest of this.#specs.keys()) {
      if (this.#specs.size <= limits.WORKER_SPECS_MAX) {
        break;
      }
      this.#specs.delete(digest);
    }
    // A message may hold a task and its cancellation.
    for (const token of response.cancels) {
      this.#tasks.cancel(token);
    }
    // Connect to another worker service as soon as no task runs here.
    this.#isServerDraining ||= response.drain;
    this.#updateIdle();
  }

  #accept(task: Task): void {
    try {
      this.#tasks.accept(task, this.#specs.get(task.specDigest) ?? new Uint8Array());
    } catch (error) {
      this.#finished(failed(task.token, "Panic", `the task cannot be run: ${error}`));
    }
  }

  #acknowledge(frame: bigint): void {
    while (this.#frames[0] && this.#frames[0].frame <= frame) {
      for (const result of this.#frames.shift()?.results ?? []) {
        if (this.#unacknowledged.delete(result.token)) {
          this.#unacknowledgedBytes -= sizeOf(result);
        }
      }
    }
    if (this.#outgoing.length > 0) {
      this.#wake.set();
    }
  }

  get #isIdle(): boolean {
    return this.#tasks.size === 0 && this.#unacknowledged.size === 0 && this.#outgoing.length === 0;
  }

  #updateIdle(): void {
    if (this.#isIdle) {
      this.#idle?.();
    }
  }
}
