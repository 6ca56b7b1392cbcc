/** Bad addresses, bad credentials and bad servers of a client: clear errors in bounded time. */
import assert from "node:assert/strict";
import { createServer as createHttp } from "node:http";
import { createServer as createTcp, type Socket } from "node:net";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, type HandlerContext } from "@connectrpc/connect";
import { Client, FlowmeshError, reasonOf } from "@flowmesh/client";
import { EventService } from "@flowmesh/client/proto/flowmesh/api/event/v1/event_service_pb";
import { ExecutionService } from "@flowmesh/client/proto/flowmesh/api/execution/v1/execution_service_pb";
import { HistoryEventSchema } from "@flowmesh/client/proto/flowmesh/api/history/v1/history_event_pb";
import { listening, openHandles, refusal, stub, until } from "./stub.js";

const completed = { case: "workflowCompleted" as const, value: {} };

function never(_: unknown, { signal }: HandlerContext): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}

async function failure(call: Promise<unknown>): Promise<FlowmeshError> {
  const error = await call.then(
    () => assert.fail("the call succeeded"),
    (found) => found,
  );
  assert.ok(error instanceof FlowmeshError, String(error));
  return error;
}

test("an address that is none is refused by its name", () => {
  for (const address of ["no address", "ftp://a", "a:b:c:d", "http://", "host:99999", "x/y"]) {
    assert.throws(
      () => new Client({ address }),
      (error) =>
        reasonOf(error) === "ENDPOINT_INVALID" && String(error).includes(address.slice(0, 4)),
      address,
    );
  }
});

test("a closed port, HTTP/1, no TLS and silence are each one clear error within 5 s", async (t) => {
  const http = createHttp((_, response) => response.end("hello"));
  const sockets = new Set<Socket>();
  const silent = createTcp((socket) => sockets.add(socket));
  const garbage = createTcp((socket) => {
    sockets.add(socket.on("error", () => {}));
    socket.end("not HTTP/2 at all, but many bytes of text\r\n\r\n");
  });
  const closed = createTcp();
  const closedAddress = await listening(closed);
  closed.close();
  t.after(() => {
    for (const server of [http, silent, garbage]) {
      server.close();
    }
    for (const socket of sockets) {
      socket.destroy();
    }
  });
  const httpAddress = await listening(http);
  const addresses: [string, string, string][] = [
    [closedAddress, "SERVICE_UNAVAILABLE", closedAddress],
    [httpAddress, "SERVICE_UNAVAILABLE", "but not with gRPC"],
    [await listening(garbage), "SERVICE_UNAVAILABLE", "but not with gRPC"],
    [await listening(silent), "SERVICE_UNAVAILABLE", "no server responds"],
    [`grpcs://${httpAddress}`, "TLS_FAILED", "does not speak TLS"],
    ["nothing.invalid:7450", "SERVICE_UNAVAILABLE", "nothing.invalid:7450"],
  ];
  await Promise.all(
    addresses.map(async ([address, reason, part]) => {
      const began = performance.now();
      const error = await failure(Client.connect({ address }));
      const tookMs = performance.now() - began;
      assert.ok(tookMs < 5_500, `${address} took ${tookMs} ms`);
      assert.equal(error.reason, reason, `${address}: ${error.message}`);
      assert.ok(error.message.includes(part), `${address}: ${error.message}`);
      assert.ok(error.message.includes(address), error.message);
    }),
  );
});

test("a token provider that throws or returns no token is one clear error", async () => {
  const providers: [() => string | Promise<string>, string][] = [
    [() => assert.fail("no"), "CREDENTIALS_REQUIRED"],
    [() => Promise.reject("text"), "CREDENTIALS_REQUIRED"],
    [() => "a\r\nb", "CREDENTIAL_MALFORMED"],
    [() => "", "CREDENTIAL_MALFORMED"],
    [() => "x".repeat(5_000), "CREDENTIAL_MALFORMED"],
    [() => 5 as unknown as string, "CREDENTIAL_MALFORMED"],
  ];
  for (const [token, reason] of providers) {
    const client = new Client({ address: "127.0.0.1:9", token });
    const error = await failure(client.start("any"));
    assert.equal(error.reason, reason, `${token}`);
    await client.close();
  }
  assert.throws(() => new Client({ address: "example.com:7450", apiKey: "k" }), /without TLS/);
  assert.throws(() => new Client({ apiKey: "a", token: "b" }), /not both/);
});

test("a refused token is renewed once, and sent with the next try", async (t) => {
  const seen: (string | null)[] = [];
  const server = await stub((router) => {
    router.rpc(ExecutionService.method.startExecution, (_, context) => {
      seen.push(context.requestHeader.get("authorization"));
      if (seen.length === 1) {
        throw refusal(Code.Unauthenticated, "CREDENTIALS_INVALID");
      }
      return { executionId: "exec-1" };
    });
  });
  t.after(() => server.close());
  let number = 0;
  const client = new Client({ address: server.address, token: () => `token-${++number}` });
  assert.equal((await client.start("any")).id, "exec-1");
  assert.deepEqual(seen, ["Bearer token-1", "Bearer token-2"]);
  await client.close();
});

test("unknown enums and events of a newer server are shown, as `unknown` and without a type", async (t) => {
  const server = await stub((router) => {
    router.rpc(ExecutionService.method.getExecution, () => ({
      execution: {
        executionId: "exec-1",
        status: 99 as never,
        compensation: 77 as never,
        nodes: [{ id: "a", status: 42 as never }],
      },
    }));
    router.rpc(EventService.method.watchExecution, async function* () {
      // Field 9999 is an event that this version does not know.
      const event = create(HistoryEventSchema, { sequence: 1n });
      event.$unknown = [{ no: 9999, wireType: 2, data: new Uint8Array([2, 8, 1]) }];
      yield { event: { executionId: "exec-1", event } };
      yield { event: { executionId: "exec-1", event: { sequence: 2n, event: completed } } };
    });
  });
  t.after(() => server.close());
  const client = new Client({ address: server.address });
  const { status, compensation, nodes } = await client.handle("exec-1").describe();
  assert.deepEqual([status, compensation, nodes[0]?.status], ["unknown", "unknown", "unknown"]);
  const types: string[] = [];
  for await (const { type } of client.handle("exec-1").events()) {
    types.push(type);
  }
  assert.deepEqual(types, ["", "WorkflowCompleted"]);
  await client.close();
});

test("deadlines of 0, below 0 and of 10 years are kept, and no timer overflows", async (t) => {
  const server = await stub((router) => {
    router.rpc(ExecutionService.method.startExecution, () => ({ executionId: "exec-1" }));
    router.rpc(ExecutionService.method.waitExecution, () => ({
      ended: true,
      execution: { status: 4 },
    }));
  });
  t.after(() => server.close());
  const client = new Client({ address: server.address });
  for (const timeoutMs of [0, -5, Number.NaN]) {
    const error = await failure(client.run("any", {}, { timeoutMs }));
    assert.equal(error.kind, "Timeout", String(timeoutMs));
  }
  const years = 10 * 365 * 24 * 3_600_000;
  assert.equal(await client.run("any", {}, { timeoutMs: years }), null);
  await client.start("any", {}, { waitMs: years });
  await client.close();
});

test("messages above 64 MiB and half a frame are errors, not hangs", async (t) => {
  const server = await stub((router) => {
    router.rpc(ExecutionService.method.getExecution, () => ({
      execution: { input: { data: new Uint8Array(64 * 1024 * 1024 + 1) } },
    }));
  });
  const half = createTcp((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      // SETTINGS, then a HEADERS frame that promises more than comes.
      socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
      socket.end(Buffer.from([0, 0, 99, 1, 4, 0, 0, 0, 1, 0x88]));
    });
  });
  t.after(async () => {
    half.close();
    await server.close();
  });
  const client = new Client({ address: server.address });
  assert.equal((await failure(client.handle("x").describe())).kind, "TooLarge");
  await client.close();
  const address = await listening(half);
  const error = await failure(Client.connect({ address, timeoutMs: 2_000 }));
  assert.equal(error.kind, "Unavailable", error.message);
});

test("connections that are reset again and again lose no event, and repeat none", async (t) => {
  const server = await stub((router) => {
    router.rpc(EventService.method.watchExecution, async function* ({ after }) {
      for (let sequence = after + 1n; sequence <= 20n; sequence++) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        yield {
          event: { event: sequence === 20n ? { sequence, event: completed } : { sequence } },
        };
      }
    });
  });
  const resets = setInterval(() => {
    for (const session of server.sessions) {
      session.destroy();
    }
  }, 150);
  t.after(async () => {
    clearInterval(resets);
    await server.close();
  });
  const client = new Client({ address: server.address });
  const sequences: number[] = [];
  for await (const { sequence } of client.handle("exec-1").events()) {
    sequences.push(sequence);
  }
  assert.deepEqual(
    sequences,
    Array.from({ length: 20 }, (_, index) => index + 1),
  );
  await client.close();
});

test("a call after a GOAWAY opens another connection", async (t) => {
  let calls = 0;
  const server = await stub((router) => {
    router.rpc(ExecutionService.method.startExecution, () => ({ executionId: `e${++calls}` }));
  });
  t.after(() => server.close());
  const client = new Client({ address: server.address });
  for (let round = 1; round <= 5; round++) {
    assert.equal((await client.start("any")).id, `e${round}`);
    for (const session of server.sessions) {
      session.goaway();
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await client.close();
});

test("close ends calls and streams, twice is no error, use after it is refused", async (t) => {
  const server = await stub((router) => {
    async function* silence() {
      await new Promise(() => {});
      yield {};
    }
    router.rpc(ExecutionService.method.startExecution, never);
    router.rpc(ExecutionService.method.session, silence);
    router.rpc(EventService.method.watchExecution, silence);
    router.rpc(EventService.method.watchEvents, silence);
  });
  t.after(() => server.close());
  const client = new Client({ address: server.address });
  const session = client.session();
  const running = [
    failure(client.start("any")),
    failure(client.handle("x").events().next()),
    failure(client.events().next()),
    failure(session.watch("x").result()),
  ];
  await until(() => server.sessions.size > 0);
  await Promise.all([client.close(), client.close()]);
  for (const error of await Promise.all(running)) {
    assert.equal(error.kind, "Closed", error.message);
  }
  await client.close();
  assert.equal((await failure(client.start("any"))).kind, "Closed");
  assert.throws(() => client.session(), /closed/);
  assert.throws(() => session.submit("any"), /closed/);
});

test("calls that are aborted end with the reason of their signal", async (t) => {
  const server = await stub((router) => {
    router.rpc(ExecutionService.method.startExecution, never);
  });
  t.after(() => server.close());
  const client = new Client({ address: server.address });
  const reason = new Error("enough");
  const controller = new AbortController();
  const call = client.start("any", {}, { signal: controller.signal });
  setTimeout(() => controller.abort(reason), 20);
  await assert.rejects(call, reason);
  await assert.rejects(client.start("any", {}, { signal: controller.signal }), reason);
  await client.close();
});

test("no socket and no timer is left after close", async () => {
  assert.deepEqual(await openHandles(), []);
});
