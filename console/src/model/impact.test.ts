import { expect, test } from "vitest";
import { impactOf } from "./impact";

const USERS = [
  { name: "pinned", version: 3, taskVersion: 1 },
  { name: "quiet", version: 1 },
  { name: "orders", version: 2 },
];

test("workflows that break come first, with the problem", () => {
  const problems = [breaking("orders", "default", "tasks[0].input: no total")];
  const { impacts, own } = impactOf({ valid: false, problems }, USERS, "default");
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
  const { impacts, own } = impactOf(
    { valid: false, problems: [problem] },
    USERS.slice(1),
    "default",
  );
  expect(own).toEqual([problem]);
  expect(impacts.map((each) => each.verdict)).toEqual(["unchecked", "unchecked"]);
});

function breaking(workflow: string, namespace: string, problem = "no total") {
  const broken = { workflow, namespace, version: 2, problem };
  const message = "a sentence that is not read";
  return { code: "FLOW", severity: "error" as const, message, path: "metadata.name", broken };
}

test("workflows of one name in two namespaces have verdicts of their own", () => {
  const users = [
    { name: "orders", version: 2 },
    { name: "orders", version: 2, namespace: "other" },
  ];
  const problems = [breaking("orders", "other"), breaking("orders", "other", "no name")];
  const { impacts } = impactOf({ valid: false, problems }, users, "default");
  expect(impacts.map((each) => [each.namespace, each.verdict, each.reasons.length])).toEqual([
    ["other", "breaks", 2],
    [undefined, "changes", 0],
  ]);
});

test("a workflow that is not listed yet is named, and what was not checked says so", () => {
  const problems = Array.from({ length: 20 }, (_, number) => breaking(`w${number}`, "default"));
  const { impacts } = impactOf({ valid: false, problems }, USERS, "default");
  expect(impacts.filter((each) => each.verdict === "breaks")).toHaveLength(20);
  expect(impacts.find((each) => each.workflow === "quiet")?.verdict).toBe("unchecked");
});
