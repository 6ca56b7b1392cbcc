import { expect, test } from "vitest";
import { partOf } from "./part";

const one = (name: string) => `# ${name}, as in the shop
kind: Workflow
apiVersion: workflow.io/v1
metadata: {name: ${name}}   # kept
spec: {tasks: [{id: a, taskRef: noop}]}
`;
const TASK = "kind: WorkflowTask\napiVersion: workflow.io/v1\nmetadata: {name: t}\n";

test("the text of one workflow is taken whole, with what stands beside it", () => {
  expect(partOf(`${one("a")}---\n${TASK}`, "a")).toBe(`${one("a")}---\n${TASK}`);
});

test("of several workflows the named one is taken, with its comments", () => {
  const text = `${TASK}---\n${one("a")}---\n${one("b")}---\n${one("c")}`;
  for (const name of ["a", "b", "c"]) expect(partOf(text, name)).toBe(one(name));
  expect(partOf(text, "d")).toBe(text);
});

test("a text with a fault is left alone", () => {
  const text = `${one("a")}---\n${one("b")}  - [`;
  expect(partOf(text, "a")).toBe(text);
});
