import { expect, test } from "vitest";
import { impactOf } from "./impact";

const USERS = [
  { name: "pinned", version: 3, taskVersion: 1 },
  { name: "quiet", version: 1 },
  { name: "orders", version: 2 },
];

test("workflows that break come first, with the problem", () => {
  const message =
    "workflow orders of namespace default, version 2, would break: tasks[0].input: no total";
  const problems = [{ code: "FLOW", severity: "error" as const, message, path: "metadata.name" }];
  const { impacts, own } = impactOf({ valid: false, problems }, USERS);
  expect(impacts.map((each) => [each.workflow, each.verdict, ...each.reasons])).toEqual([
    ["orders", "breaks", "tasks[0].input: no total"],
    ["quiet", "changes"],
    ["pinned", "stays", "1"],
  ]);
  expect(own).toEqual([]);
});

test("a problem of the task itself is no verdict on a workflow", () => {
  const problem = {
    code: "TYPE_UNKNOWN",
    severity: "error" as const,
    message: "there is no type htp",
    path: "spec.type",
  };
  const { impacts, own } = impactOf({ valid: false, problems: [problem] }, USERS.slice(1));
  expect(own).toEqual([problem]);
  expect(impacts.map((each) => each.verdict)).toEqual(["changes", "changes"]);
});
