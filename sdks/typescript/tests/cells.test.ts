/** Calls that another cell serves: followed once, then direct. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Code, type ConnectError, type HandlerContext } from "@connectrpc/connect";
import { Client, reasonOf } from "@flowmesh/client";
import { ExecutionService } from "@flowmesh/client/proto/flowmesh/api/execution/v1/execution_service_pb";
import { WebClient } from "@flowmesh/client/web";
import { refusal, type Stub, stub } from "./stub.js";

type Answer = (context: HandlerContext) => ConnectError | undefined;

function misdirected(address: string): ConnectError {
  return refusal(Code.FailedPrecondition, "CELL_MISDIRECTED", { address });
}

/** Serve starts and sessions that complete, unless an answer is an error. */
async function cell(t: TestContext, answer: Answer): Promise<Stub> {
  const checked = (context: HandlerContext) => {
    const error = answer(context);
    if (error) {
      throw error;
    }
  };
  const served = await stub((router) => {
    router.rpc(ExecutionService.method.startExecution, (_, context) => {
      checked(context);
      return { executionId: "exec-1" };
    });
    router.rpc(ExecutionService.method.session, async function* (requests, context) {
      checked(context);
      for await (const { starts } of requests) {
        yield { started: starts.map(({ callId }) => ({ callId, executionId: "exec-1" })) };
      }
    });
  });
  t.after(() => served.close());
  return served;
}

test("a call of another cell is repeated there, and later ones go direct", async (t) => {
  const [asked, served]: [unknown[], unknown[]] = [[], []];
  const eu = await cell(t, ({ requestHeader }) => {
    served.push(requestHeader.get("authorization"));
    return undefined;
  });
  const us = await cell(t, () => {
    asked.push("us");
    return misdirected(eu.address);
  });
  const client = new Client({ address: us.address, token: "token" });
  t.after(() => client.close());
  assert.equal((await client.start("any")).id, "exec-1");
  assert.equal((await client.start("any")).id, "exec-1");
  assert.deepEqual([asked.length, served], [1, ["Bearer token", "Bearer token"]]);
  assert.equal(client.address, eu.address);
});

test("a stream of another cell is opened there", async (t) => {
  const eu = await cell(t, () => undefined);
  const us = await cell(t, () => misdirected(eu.address));
  const client = new Client({ address: us.address });
  t.after(() => client.close());
  const call = await client.session().start("any");
  assert.equal(await call.started, "exec-1");
});

test("cells that name each other are an error", async (t) => {
  const asked: string[] = [];
  const eu: Stub = await cell(t, () => {
    asked.push("eu");
    return misdirected(us.address);
  });
  const us: Stub = await cell(t, () => {
    asked.push("us");
    return misdirected(eu.address);
  });
  const client = new Client({ address: us.address });
  t.after(() => client.close());
  await assert.rejects(client.start("any"), (error) => reasonOf(error) === "CELL_MISDIRECTED");
  assert.deepEqual(asked, ["us", "eu"]);
});

test("a credential is not sent in plain text to a cell on another host", async (t) => {
  const us = await cell(t, () => misdirected("example.com:7450"));
  const client = new Client({ address: us.address, token: "token" });
  t.after(() => client.close());
  await assert.rejects(client.start("any"), (error) => reasonOf(error) === "PLAINTEXT_REFUSED");
});

test("a client for browsers goes to the gateway of the cell", async () => {
  const asked: string[] = [];
  const misled = { status: 421, headers: { location: "https://eu.test/api/v1/executions/e" } };
  const client = new WebClient({
    url: "https://us.test/flowmesh/",
    fetch: async (url) => {
      asked.push(String(url));
      return asked.length === 1
        ? new Response(JSON.stringify({ error: { reason: "CELL_MISDIRECTED" } }), misled)
        : Response.json({ executionId: "e", status: "running" });
    },
  });
  assert.equal((await client.handle("e").describe()).status, "running");
  assert.equal((await client.handle("e").describe()).status, "running");
  assert.deepEqual(asked, [
    "https://us.test/flowmesh/api/v1/executions/e",
    "https://eu.test/api/v1/executions/e",
    "https://eu.test/api/v1/executions/e",
  ]);
});

test("a client for browsers does not leave TLS, and follows once", async () => {
  const misled = (location: string) =>
    new WebClient({
      url: "https://us.test",
      fetch: async () => new Response(null, { status: 421, headers: { location } }),
    });
  const reasons = ["http://eu.test/api/v1/executions/e", "https://eu.test/api/v1/executions/e"].map(
    (location) => failed(misled(location).handle("e").describe()),
  );
  assert.deepEqual(await Promise.all(reasons), ["ENDPOINT_INVALID", "INTERNAL"]);
});

function failed(call: Promise<unknown>): Promise<string> {
  return call.then(() => "", reasonOf);
}
