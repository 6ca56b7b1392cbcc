import { expect, test } from "vitest";
import type { MapWorkflow, ServiceValue } from "@/api/schema";
import { topologyOf } from "./topology";

function instance(name: string, status: ServiceValue["status"]): ServiceValue {
  return { name, status, id: `${name}-${status}` } as ServiceValue;
}

function workflow(name: string, ...services: string[]): MapWorkflow {
  return {
    workflow: name,
    version: 1,
    tasks: services.map((service, place) => ({ id: `t${place}`, type: "x", service })),
    edges: [],
    services: [...new Set(services)],
    tasksCapped: false,
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
