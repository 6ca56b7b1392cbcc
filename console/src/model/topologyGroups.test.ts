import { expect, test } from "vitest";
import type { Calls, Topology } from "./topology";
import { around, groupsOf, withGroups } from "./topologyGroups";

const call = (source: string, target: string, calls: number, errors = 0): Calls => ({
  source,
  target,
  calls,
  errors,
  perMinute: calls / 15,
  p50Ms: 1,
  p95Ms: 2,
  p99Ms: 3,
  lastAt: "2026-11-29T10:00:00Z",
});

const TOPOLOGY: Topology = {
  suite: [],
  workflows: [
    { name: "a", services: ["bank"] },
    { name: "b", services: ["bank"] },
    { name: "c", services: ["bank"] },
    { name: "d", services: ["post"] },
    { name: "e", services: ["post", "bank"] },
  ],
  outside: ["bank", "post"].map((name) => ({ name, kind: "HTTP", callers: [], tasks: 1 })),
  calls: [call("a", "bank", 30), call("b", "bank", 15, 2), call("d", "post", 15)],
};

test("workflows of a team are a group, and so are three that call the same", () => {
  const groups = groupsOf(TOPOLOGY, new Map([["d", "mail"]]));
  expect(groups.map((each) => [each.team, each.members])).toEqual([
    [undefined, ["a", "b", "c"]],
    ["mail", ["d"]],
  ]);
});

test("a group makes the calls of its members", () => {
  const found = withGroups(TOPOLOGY, [{ name: "team x", team: "x", members: ["a", "b", "d"] }]);
  expect(found.workflows.map((each) => [each.name, each.services])).toEqual([
    ["team x", ["bank", "post"]],
    ["c", ["bank"]],
    ["e", ["post", "bank"]],
  ]);
  const [bank] = found.calls;
  expect(bank).toMatchObject({ source: "team x", calls: 45, errors: 2, perMinute: 3 });
  expect(found.calls).toHaveLength(2);
});

test("around a name there is only what it is connected with", () => {
  const service = around(TOPOLOGY, "post");
  expect(service.workflows.map((each) => each.name)).toEqual(["d", "e"]);
  expect(service.workflows[1]?.services).toEqual(["post"]);
  expect(service.outside.map((each) => each.name)).toEqual(["post"]);
  const workflow = around(TOPOLOGY, "e");
  expect(workflow.outside.map((each) => each.name)).toEqual(["bank", "post"]);
  expect(workflow.workflows.map((each) => each.name)).toEqual(["e"]);
  expect(around(TOPOLOGY, undefined)).toBe(TOPOLOGY);
  expect(around(TOPOLOGY, "unknown")).toBe(TOPOLOGY);
});
