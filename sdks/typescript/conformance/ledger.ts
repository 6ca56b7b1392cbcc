/** The handlers of the driver, and the calls that they received. */
import { setTimeout as sleep } from "node:timers/promises";
import {
  FlowmeshError,
  NonRetryable,
  type TaskContext,
  TaskFailure,
  type TaskHandler,
} from "@flowmesh/client";

// biome-ignore lint/suspicious/noExplicitAny: the members of inputs
type Json = any;
const CALLS_SHOWN_MAX = 1_000;

/** One call of a handler. */
interface Call {
  readonly taskType: string;
  readonly execution: string;
  readonly node: string;
  readonly attempt: number;
  readonly key: string;
  state: "running" | "canceled" | "ended";
}

/** The calls of the handlers of one worker. */
export class Ledger {
  readonly #calls: Call[] = [];
  began = 0;
  ended = 0;

  /** Return a handler that notes its calls. */
  noted(act: TaskHandler): TaskHandler {
    return async (input: Json, context) => {
      const { taskType, executionId, node, attempt, idempotencyKey } = context;
      const call: Call = {
        ...{ taskType, execution: executionId, node, attempt, key: idempotencyKey },
        state: "running",
      };
      this.began ||= performance.now();
      this.#calls.push(call);
      try {
        return await act(input, context);
      } finally {
        call.state = context.isCanceled ? "canceled" : "ended";
        this.ended += 1;
      }
    };
  }

  /** Return the calls with their counts. */
  summary(): Json {
    const calls = this.#calls;
    const keys = calls.map(({ execution, node, attempt }) => `${execution} ${node} ${attempt}`);
    const count = (state: Call["state"]) => calls.filter((call) => call.state === state).length;
    return {
      calls: calls.length <= CALLS_SHOWN_MAX ? calls : [],
      count: calls.length,
      distinct: new Set(keys).size,
      running: count("running"),
      canceled: count("canceled"),
      ended: count("ended"),
    };
  }
}

/** The behaviors by name. */
export const behaviors: Readonly<Record<string, TaskHandler>> = {
  echo: (input) => input,
  nothing: () => undefined,
  context: (_, context) => ({
    attempt: context.attempt,
    key: context.idempotencyKey,
    execution: context.executionId,
    workflow: context.workflowId,
    namespace: context.namespace,
    node: context.node,
    taskType: context.taskType,
    traceparent: context.traceparent,
    timeoutMs: context.timeoutMs,
  }),
  fail: (input) => {
    const { message = "", retryAfterMs = 0, details } = input;
    throw new TaskFailure(input.class, message, { retryAfterMs, details });
  },
  final: (input) => {
    throw new NonRetryable(input.message);
  },
  error: (input) => {
    throw new RangeError(input.message);
  },
  panic: () => {
    throw "panic on purpose";
  },
  flaky: (input, { attempt, idempotencyKey }) => {
    if (attempt < input.attempts) {
      throw new TaskFailure(input.class, `attempt ${attempt}`);
    }
    return { attempt, key: idempotencyKey };
  },
  sleep: async ({ ms }, context) => {
    await context.sleep(ms);
    return { ms };
  },
  stubborn: async ({ ms }) => {
    await sleep(ms);
    return { ms };
  },
  beat: async (input, context) => {
    for (let n = 1; n <= input.count; n++) {
      beat(context, "bytes" in input ? "x".repeat(input.bytes) : { n });
      await sleep(input.everyMs ?? 0);
    }
    return { beats: input.count };
  },
  big: ({ bytes }) => "x".repeat(bytes),
  unencodable: (input) => (input?.nested ? { sums: [1, Number.NEGATIVE_INFINITY] } : Number.NaN),
  call: async ({ workflow, input }, context) => {
    const output = await context.client.run(workflow, input);
    return { traceparent: context.traceparent, output };
  },
  close: (_, context) => context.client.close(),
  exit: () => process.exit(3),
};

function beat(context: TaskContext, details: unknown): void {
  try {
    context.heartbeat(details);
  } catch (error) {
    if (error instanceof FlowmeshError) {
      throw new TaskFailure("Refused", error.message);
    }
    throw error;
  }
}
