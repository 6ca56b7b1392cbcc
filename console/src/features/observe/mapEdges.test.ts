import { expect, test } from "vitest";
import type { ServiceCallsValue } from "@/api/schema";
import { mapOf, rateText, seriesOf } from "./mapEdges";

function calls(more: Partial<ServiceCallsValue>): ServiceCallsValue {
  return { kind: "call", service: "A", calls: 1, errors: 0, meanMs: 1, p95Ms: 1, ...more };
}

const WORKER = calls({ kind: "worker", caller: "orchestrator", service: "w", namespace: "shop" });
const QUEUE = calls({ kind: "queue", caller: "broker", service: "q", namespace: "default" });
const READ = calls({ kind: "consumers", caller: "q", service: "consumers", namespace: "default" });

const APP = calls({ kind: "application", service: "shop", namespace: "default" });

test("an end of several calls is one node", () => {
  const found = mapOf({
    calls: [calls({}), calls({ caller: "A", service: "B" }), WORKER, QUEUE, READ, APP],
  });
  expect(found.nodes.map(({ kind, name }) => `${kind} ${name}`.trim())).toEqual([
    "clients",
    "service A",
    "service B",
    "service orchestrator",
    "worker shop/w",
    "service broker",
    "queue q",
    "consumers consumers",
    "application shop",
  ]);
  expect(found.edges.map(({ from, to }) => [from, to])).toEqual([
    [0, 1],
    [1, 2],
    [3, 4],
    [5, 6],
    [6, 7],
    [0, 8],
  ]);
});

test("the busiest edges of a kind are drawn, and those without calls are not", () => {
  const many = Array.from({ length: 12 }, (_, at) => ({ ...WORKER, service: `w-${at}` }));
  const found = mapOf({ calls: [...many, { ...QUEUE, calls: 0 }] });
  expect([found.edges.length, found.more]).toEqual([8, 5]);
});

test("rare calls have a rate that can be read", () => {
  expect(rateText(7_200, 3_600)).toBe("2/s");
  expect(rateText(25, 3_600)).toBe("0.4/min");
  expect(rateText(1, 3_600)).toBe("1/h");
  expect(rateText(0, 3_600)).toBe("0/h");
});

test("an edge leads to the series of its called part", () => {
  expect(seriesOf(calls({}))).toEqual({ by: "services", only: ["service=A"] });
  expect(seriesOf(calls({ service: "gateway" })).by).toBe("routes");
  expect(seriesOf(WORKER)).toEqual({ by: "eachWorker", only: ["worker=w", "namespace=shop"] });
  expect(seriesOf(APP)).toEqual({ by: "apps", only: ["app=shop", "namespace=default"] });
  expect(seriesOf(READ)).toEqual({ by: "queues", only: ["queue=q", "namespace=default"] });
});
