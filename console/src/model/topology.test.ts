import { expect, test } from "vitest";
import type { MapWorkflow, ServiceValue } from "@/api/schema";
import { rate, shownService, topologyOf, topologyOfWorkflow } from "./topology";

function instance(name: string, status: ServiceValue["status"]): ServiceValue {
  return { name, status, type: "core", id: `${name}-${status}` } as ServiceValue;
}

function workflow(name: string, ...services: string[]): MapWorkflow {
  return {
    workflow: name,
    version: 1,
    tasks: services.map((service, place) => ({ id: `t${place}`, type: "x", service })),
    edges: [],
    services: [...new Set(services)],
    tasksCapped: false,
    labels: {},
  };
}

test("a service is as well as its best instance", () => {
  const found = topologyOf([instance("event", "OFFLINE"), instance("event", "DEGRADED")], []);
  expect(found.suite).toEqual([{ name: "event", health: "degraded", instances: 2 }]);
});

test("a service that several workflows call is one, with its callers and tasks", () => {
  const pay = "https://pay.example";
  const found = topologyOf([], [workflow("orders", pay, pay), workflow("refunds", pay, "db:main")]);
  expect(found.outside).toEqual([
    { name: "db:main", kind: "database", callers: ["refunds"], tasks: 1 },
    { name: pay, kind: "HTTP", callers: ["orders", "refunds"], tasks: 3 },
  ]);
});

test("registered services are listed before they are called", () => {
  const billing = { ...instance("billing", "HEALTHY"), type: "api" };
  const found = topologyOf([billing], []);
  expect(found.suite).toEqual([]);
  expect(found.outside.map((each) => each.name)).toEqual(["service:billing"]);
});

test("calls of addresses and of workers keep their names", () => {
  const edge = { errors: 0, p50Ms: 2, p95Ms: 9, p99Ms: 12, lastAt: "2026-11-26T10:00:00Z" };
  const targets = ["https://pay.example", "workers of charge", "db:main", "(computed)"];
  const found = topologyOf([], [workflow("orders", ...targets)], {
    minutes: 1,
    nodes: [],
    edges: targets.map((target) => ({ source: "orders", target, calls: 4, ...edge })),
  });
  expect(found.calls.map((each) => each.target)).toEqual(targets);
  expect(found.outside).toHaveLength(4);
});

test("calls add their callers and services, with a rate", () => {
  const edge = { errors: 1, p50Ms: 2, p95Ms: 9, p99Ms: 12, lastAt: "2026-11-26T10:00:00Z" };
  const found = topologyOf([], [workflow("quotes", "service:prices")], {
    minutes: 15,
    nodes: [],
    edges: [
      { source: "quotes", target: "prices", calls: 30, ...edge },
      { source: "prices", target: "stock", calls: 45, ...edge },
    ],
  });
  expect(found.workflows).toEqual([
    { name: "quotes", services: ["service:prices"] },
    { name: "prices", services: ["service:stock"] },
  ]);
  expect(found.outside.map(({ name, callers, tasks }) => [name, callers, tasks])).toEqual([
    ["service:prices", ["quotes"], 1],
    ["service:stock", ["prices"], 0],
  ]);
  expect(found.calls.map((each) => [each.target, each.perMinute])).toEqual([
    ["service:stock", 3],
    ["service:prices", 2],
  ]);
  expect(shownService("service:stock")).toBe("stock");
  expect([rate(0.066), rate(2), rate(123.4)]).toEqual(["0.066", "2", "123"]);
});

test("the topology of a workflow has what it calls, with health and its own calls", () => {
  const billing = { ...instance("billing", "DEGRADED"), type: "api" };
  const other = { ...instance("mail", "HEALTHY"), type: "api" };
  const edge = { calls: 30, errors: 2, p50Ms: 1, p95Ms: 9, p99Ms: 12, lastAt: "" };
  const edges = [
    { ...edge, source: "orders", target: "billing" },
    { ...edge, source: "refunds", target: "billing", calls: 900 },
  ];
  const { topology, called } = topologyOfWorkflow(
    {
      workflow: "orders",
      version: 4,
      hub: "flowmesh",
      spokes: [
        { service: "https://pay.example", tasks: ["pay"] },
        { service: "service:billing", tasks: ["charge", "refund"] },
      ],
      connections: [],
    },
    [billing, other],
    { minutes: 15, nodes: [], edges },
  );
  expect(topology.workflows).toEqual([
    { name: "orders", services: ["https://pay.example", "service:billing"] },
  ]);
  expect(topology.outside.map((each) => each.name)).toEqual([
    "https://pay.example",
    "service:billing",
  ]);
  expect(called.map((each) => [each.name, each.tasks, each.health, each.calls?.calls])).toEqual([
    ["https://pay.example", ["pay"], undefined, undefined],
    ["service:billing", ["charge", "refund"], "degraded", 30],
  ]);
});
