// Restate's services in its TypeScript SDK: a workflow whose steps are durable calls to another
// service ("call") or run where the workflow runs and are recorded ("inline").
// Usage: node service.mjs call|inline PORT. Answers questions on stdin like benchmarks/answering.py.
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import * as restate from "@restatedev/restate-sdk";

// The SDK is written for Node 22; on Node 20 this is all it misses.
Promise.withResolvers ??= () => {
  let resolve, reject;
  const promise = new Promise((...both) => ([resolve, reject] = both));
  return { promise, resolve, reject };
};

const [mode, port] = process.argv.slice(2);
const RECORDED_MS = 200;
const runs = new Map();

const recorded = async (key, value) => {
  runs.set(key, (runs.get(key) ?? 0) + 1);
  await sleep(RECORDED_MS);
  return value;
};

const steps = restate.service({
  name: "steps",
  handlers: {
    noop: async (_ctx, value) => value,
    recorded: async (_ctx, { key, value }) => recorded(key, value),
  },
});

const noop = (ctx, name, value) =>
  mode === "call" ? ctx.serviceClient(steps).noop(value) : ctx.run(name, () => value);

const counted = (ctx, name, value) => {
  const key = `${ctx.request().id}/${name}`;
  return mode === "call"
    ? ctx.serviceClient(steps).recorded({ key, value })
    : ctx.run(name, () => recorded(key, value));
};

const flows = restate.service({
  name: "flows",
  handlers: {
    chain: async (ctx, { size, value }) => {
      for (let n = 0; n < size; n++) value = await noop(ctx, `s${n}`, value);
      return value;
    },
    fan: async (ctx, { size, value }) => {
      const names = Array.from({ length: size }, (_, n) => `s${n}`);
      await restate.RestatePromise.all(names.map((name) => noop(ctx, name, value)));
      return noop(ctx, "join", value);
    },
    recorded: async (ctx, { size, value }) => {
      for (let n = 0; n < size; n++) value = await counted(ctx, `s${n}`, value);
      return value;
    },
  },
});

const repeated = () => {
  const total = [...runs.values()].reduce((sum, count) => sum + count - 1, 0);
  runs.clear();
  return total;
};

process.env.RESTATE_LOGGING ??= "ERROR";
await restate.serve({ services: [steps, flows], port: Number(port) });
console.log("ready");
const questions = createInterface({ input: process.stdin });
questions.on("line", (line) => {
  if (JSON.parse(line).do === "repeated") console.log(`answer {"ok": ${repeated()}}`);
});
questions.on("close", () => process.exit(0));
