/** A worker with handlers and servers that misbehave. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  Client,
  NonRetryable,
  type TaskContext,
  TaskFailure,
  type TaskHandler,
  Worker,
} from "@flowmesh/client";
import {
  WorkerService,
  type WorkRequest,
  type WorkResponseSchema,
} from "@flowmesh/client/proto/flowmesh/api/worker/v1/worker_service_pb";
import { Outbox, openHandles, stub, until } from "./stub.js";

type Response = MessageInitShape<typeof WorkResponseSchema>;

/** Start a worker service that a test drives, and a worker of one handler. */
async function served(t: TestContext, handler: TaskHandler, acknowledges = true) {
  const received: WorkRequest[] = [];
  const outboxes: Outbox<Response>[] = [];
  const server = await stub((router) => {
    router.rpc(WorkerService.method.work, async function* (requests) {
      const outbox = new Outbox<Response>();
      outboxes.push(outbox);
      void (async () => {
        for await (const request of requests) {
          received.push(request);
          if (request.hello) {
            outbox.push({ pong: true });
          }
          if (request.resultsFrame && acknowledges) {
            outbox.push({ acknowledgedFrame: request.resultsFrame });
          }
        }
        outbox.end();
      })().catch(() => {});
      yield* outbox;
    });
  });
  const client = new Client({ address: server.address });
  const worker = new Worker({ client, drainMs: 500 });
  worker.task("t", handler);
  await worker.start();
  t.after(async () => {
    await worker.stop();
    await client.close();
    await server.close();
  });
  const results = () => received.flatMap((request) => request.results);
  const outcome = async (token: string) => {
    await until(() => results().some((result) => result.token === token));
    return results().find((result) => result.token === token)?.outcome;
  };
  const send = (response: Response) => outboxes.at(-1)?.push(response);
  return { worker, server, received, results, outcome, send };
}

function task(token: string, fields: object = {}) {
  return { token, taskType: "t", node: "n", executionId: "e", attempt: 1, ...fields };
}

function json(value: unknown) {
  return { data: new TextEncoder().encode(JSON.stringify(value)) };
}

function text(data: Uint8Array | undefined): string {
  return new TextDecoder().decode(data);
}

test("handlers that return nothing, throw no error, or throw what cannot be read", async (t) => {
  class Strange extends Error {
    override get message(): string {
      throw new Error("no message either");
    }
  }
  const throwing: Record<string, () => unknown> = {
    nothing: () => undefined,
    text: () => {
      throw "a text";
    },
    error: () => {
      throw new RangeError("too far");
    },
    strange: () => {
      throw new Strange();
    },
    final: () => {
      throw new NonRetryable("never again");
    },
    chosen: () => {
      throw new TaskFailure("RateLimitError", "slow", { retryAfterMs: 50, details: { n: 1 } });
    },
    details: () => {
      throw new TaskFailure("X", "y", { details: () => 1 });
    },
    output: () => ({ f: () => 1 }),
  };
  const { send, outcome } = await served(t, (name: string) => throwing[name]?.());
  send({ tasks: Object.keys(throwing).map((name) => task(name, { input: json(name) })) });

  const nothing = await outcome("nothing");
  assert.equal(nothing?.case === "output" && text(nothing.value.data), "null");
  const expected: [string, string, RegExp][] = [
    ["text", "Panic", /a text/],
    ["error", "RangeError", /too far/],
    ["strange", "Panic", /cannot be read/],
    ["final", "NonRetryable", /never again/],
    ["chosen", "RateLimitError", /slow/],
    ["details", "ValidationError", /details/],
    ["output", "ValidationError", /f is a function/],
  ];
  for (const [token, failureClass, message] of expected) {
    const found = await outcome(token);
    assert.ok(found?.case === "failure", token);
    assert.equal(found.value.class, failureClass);
    assert.match(found.value.message, message);
  }
  const chosen = await outcome("chosen");
  assert.ok(chosen?.case === "failure");
  assert.equal(chosen.value.retryAfterMs, 50n);
  assert.equal(text(chosen.value.details), '{"n":1}');
});

test("a repeated token runs once; foreign acknowledgments and cancels are ignored", async (t) => {
  let calls = 0;
  const { send, outcome, results } = await served(t, () => ++calls, false);
  send({ tasks: [task("a"), task("a")] });
  await outcome("a");
  send({ tasks: [task("a")] });
  send({ exceptions: [{ token: "foreign", kind: 1 }], cancels: ["b"] });
  send({ acknowledgedFrame: 99n, tasks: [task("c")] });
  await outcome("c");
  assert.equal(calls, 2);
  assert.equal(results().length, 2);
});

test("a result of a moved task is sent again, a stale one is not", async (t) => {
  const { send, outcome, results } = await served(t, () => 1, false);
  send({ tasks: [task("a"), task("b")] });
  await outcome("b");
  send({
    exceptions: [
      { token: "a", kind: 1 },
      { token: "b", kind: 2 },
    ],
    acknowledgedFrame: 1n,
  });
  await until(() => results().length === 3);
  assert.deepEqual(
    results().map(({ token }) => token),
    ["a", "b", "a"],
  );
});

test("a cancellation aborts the signal; a handler that ignores it is abandoned", async (t) => {
  const reasons: string[] = [];
  const handler = async (name: unknown, context: TaskContext) => {
    context.signal.addEventListener("abort", () => reasons.push(context.signal.reason.name));
    if (name === "kind") {
      await context.sleep(60_000);
    }
    await new Promise(() => {});
  };
  const { send, outcome, worker } = await served(t, handler);
  const kind = task("kind", { input: json("kind") });
  send({ tasks: [kind, task("deaf"), task("late", { timeoutMs: 50n })] });
  await until(() => worker.running === 3);
  send({ cancels: ["kind", "deaf"] });
  for (const [token, failureClass] of [
    ["kind", "Cancelled"],
    ["deaf", "Cancelled"],
    ["late", "Timeout"],
  ] as const) {
    const found = await outcome(token);
    assert.ok(found?.case === "failure");
    assert.equal(found.value.class, failureClass, token);
  }
  assert.deepEqual(reasons, ["TaskCancelled", "TaskCancelled", "TaskCancelled"]);
  assert.equal(worker.running, 0);
});

test("a task that comes with its cancellation is stopped", async (t) => {
  const { send, outcome } = await served(t, (_, context) => context.sleep(60_000));
  send({ tasks: [task("a")], cancels: ["a"] });
  const found = await outcome("a");
  assert.ok(found?.case === "failure" && found.value.class === "Cancelled");
});

test("after a broken stream the hello holds running tasks, and results come again", async (t) => {
  let finish: (value: number) => void = () => {};
  const handler = (name: unknown) =>
    name === "quick"
      ? 1
      : new Promise<number>((resolve) => {
          finish = resolve;
        });
  const { send, outcome, received, results, server, worker } = await served(t, handler, false);
  send({ tasks: [task("a"), task("b", { input: json("quick") })] });
  await outcome("b");
  for (const session of server.sessions) {
    session.destroy();
  }
  await until(() => received.filter(({ hello }) => hello).length === 2);
  const hellos = received.flatMap(({ hello }) => hello ?? []);
  assert.deepEqual(hellos[1]?.held, ["a", "b"]);
  assert.equal(hellos[0]?.workerId, hellos[1]?.workerId);
  assert.equal(worker.running, 1);
  finish(7);
  const found = await outcome("a");
  assert.ok(found?.case === "output" && text(found.value.data) === "7");
  assert.equal(results().filter(({ token }) => token === "b").length, 2);
});

test("heartbeats keep the newest details and refuse more than 64 KiB", async (t) => {
  const handler = async (_: unknown, context: TaskContext) => {
    for (let beat = 1; beat <= 3; beat++) {
      context.heartbeat({ beat });
    }
    await context.sleep(50);
    context.heartbeat("x".repeat(65 * 1024));
  };
  const { send, outcome, received } = await served(t, handler);
  send({ tasks: [task("a")] });
  const found = await outcome("a");
  assert.ok(found?.case === "failure");
  assert.match(found.value.message, /limited to 64 KiB/);
  const beats = received.flatMap(({ heartbeats }) => heartbeats);
  assert.deepEqual(
    beats.map(({ details }) => text(details)),
    ['{"beat":3}'],
  );
});

test("a drain asks for no tasks, waits for the running ones, and closes", async (t) => {
  const { send, worker, received, outcome } = await served(t, async (_, context) => {
    await context.sleep(100);
    return "done";
  });
  send({ tasks: [task("a")] });
  await until(() => worker.running === 1);
  await worker.stop();
  assert.ok(received.some(({ drain }) => drain));
  assert.equal((await outcome("a"))?.case, "output");
  await worker.stop();
});

test("a worker can be stopped by its own handler", async (t) => {
  const found: { worker?: Worker } = {};
  const { send, worker, outcome } = await served(t, () => {
    void found.worker?.stop();
    return "stopping";
  });
  found.worker = worker;
  send({ tasks: [task("a")] });
  assert.equal((await outcome("a"))?.case, "output");
  await worker.stop();
});

test("a durable task and a type without a handler fail with their class", async (t) => {
  const { send, outcome } = await served(t, () => 1);
  send({ tasks: [task("journal", { journal: {} }), task("type", { taskType: "other" })] });
  const [journal, type] = [await outcome("journal"), await outcome("type")];
  assert.ok(journal?.case === "failure" && journal.value.class === "Unsupported");
  assert.ok(type?.case === "failure" && type.value.class === "HandlerMissing");
});

test("the log and the metrics of a task come with its result", async (t) => {
  const { send, outcome, results } = await served(t, (_, context) => {
    context.log("charged", "info", { amount: 3 });
    context.metric("charges");
    context.metric("charges", 2);
  });
  send({ tasks: [task("a")] });
  await outcome("a");
  assert.deepEqual(JSON.parse(text(results()[0]?.metadata)), {
    log: [{ level: "info", message: "charged", fields: { amount: 3 } }],
    metrics: { charges: 3 },
  });
});

test("options out of range, and handlers that come late, are refused", async (t) => {
  for (const slots of [0, -1, 10_001, 1.5, Number.NaN]) {
    assert.throws(() => new Worker({ slots }), /slots must be 1 to 10000/);
  }
  const { worker } = await served(t, () => 1);
  assert.throws(() => worker.task("late", () => 1), /is running/);
  await assert.rejects(new Worker().start(), /at least one handler/);
});

test("no socket and no timer is left after the end of the workers", async () => {
  assert.deepEqual(await openHandles(), []);
});
