import { expect, test } from "vitest";
import { append, EditRefused, set, update } from "./edits";
import {
  addTask,
  connect,
  disconnect,
  insertTask,
  possibleBefore,
  refusal,
  relabel,
  removeTasks,
  renameTask,
  wrapTasks,
} from "./operations";
import { parsed, parsedAnew } from "./source";
import { circle, tasksOf, tasksPlace, workflowOf } from "./workflow";

const TEXT = `apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: order}
spec:
  tasks:
    # Stock comes first.
    - id: reserve   # in the store
      taskRef: reserve-stock
      input: {order: "{{input.id}}"}
    - id: charge
      taskRef: charge-order
      dependsOn: [reserve]
      input:
        amount: "{{input.amount}}"
        hold: '{{tasks.reserve.output.id}}'
    - id: ship
      taskRef: ship-parcel
      dependsOn: [charge]
`;
const PLACE = { doc: 0, path: ["spec", "tasks"] };

function tasks(text: string) {
  const workflow = workflowOf(parsed(text));
  if (!workflow) throw new Error("no workflow");
  return tasksOf(workflow, tasksPlace(workflow));
}

test("a task is added behind another one in the manner of the text", () => {
  const text = connect(
    addTask(TEXT, PLACE, { id: "mail", taskRef: "mail" }),
    PLACE,
    "ship",
    "mail",
  );
  expect(text).toBe(`${TEXT}    - id: mail\n      taskRef: mail\n      dependsOn: [ship]\n`);
});

test("a task on an edge takes its place", () => {
  const text = insertTask(
    TEXT,
    PLACE,
    { from: "reserve", to: "charge" },
    { id: "check", taskRef: "noop" },
  );
  expect(tasks(text).find((each) => each.id === "charge")?.after).toEqual([
    { task: "check", on: undefined },
  ]);
  expect(tasks(text).find((each) => each.id === "check")?.after[0]?.task).toBe("reserve");
});

test("a removed task leaves no edges, and comments of others stay", () => {
  const text = removeTasks(TEXT, PLACE, ["charge"]);
  expect(tasks(text).map((each) => each.id)).toEqual(["reserve", "ship"]);
  expect(tasks(text)[1]?.after).toEqual([]);
  expect(text).toContain("# in the store");
});

test("circles are refused with their path, and edges twice", () => {
  expect(circle(tasks(TEXT), "ship", "reserve")).toEqual(["ship", "reserve", "charge", "ship"]);
  expect(() => connect(TEXT, PLACE, "ship", "reserve")).toThrow(
    "would close a circle: ship → reserve → charge → ship",
  );
  expect(refusal(tasks(TEXT), "reserve", "charge")).toBe("charge already waits for reserve");
  expect(refusal(tasks(TEXT), "ship", "ship")).toContain("itself");
});

test("the tasks that may come before one are those that are not refused", () => {
  const all = tasks(TEXT);
  for (const { id } of all) {
    expect(possibleBefore(all, id)).toEqual(all.filter((each) => !refusal(all, each.id, id)));
  }
});

test("a new id is written wherever the task is referred to", () => {
  const text = renameTask(TEXT, PLACE, "reserve", "hold-stock");
  expect(text).toBe(
    TEXT.replace("id: reserve ", "id: hold-stock ")
      .replace("[reserve]", "[hold-stock]")
      .replace("tasks.reserve.", "tasks.hold-stock."),
  );
  expect(() => renameTask(TEXT, PLACE, "reserve", "ship")).toThrow("id of another task");
  expect(() => renameTask(TEXT, PLACE, "reserve", "a b")).toThrow("is no id");
});

test("an edge has an outcome, and is removed", () => {
  const failed = relabel(TEXT, PLACE, { from: "charge", to: "ship", on: "failure" });
  expect(tasks(failed)[2]?.after).toEqual([{ task: "charge", on: "failure" }]);
  expect(tasks(disconnect(failed, PLACE, "charge", "ship"))[2]?.after).toEqual([]);
});

test("tasks are put into a group with the edges around it", () => {
  const body = { id: "pay", kind: "group", members: {} };
  const text = wrapTasks(TEXT, PLACE, ["reserve", "charge"], body);
  const found = tasks(text);
  expect(found.map((each) => each.id)).toEqual(["ship", "pay"]);
  expect(found[0]?.after.map((each) => each.task)).toEqual(["pay"]);
  expect(found[1]?.inner).toEqual([["group", "tasks"]]);
});

test("a member is set, changed and removed in any style", () => {
  const cases = [
    "a: 1 # one\nb: {c: 2, d: [x, y]}\n",
    "a: 1\nb:\n  c: 2 # two\n  d:\n    - x\n    - y # last\n",
    '{\n  "a": 1,\n  "b": {\n    "c": 2,\n    "d": ["x", "y"]\n  }\n}\n',
    '{"a": 1, "b": {"c": 2, "d": ["x", "y"]}}',
  ];
  for (const text of cases) {
    const at = (...path: (string | number)[]) => ({ doc: 0, path });
    const value = (made: string) => parsed(made).values[0];
    expect(value(set(text, at("b", "c"), "two: # 2"))).toEqual({
      a: 1,
      b: { c: "two: # 2", d: ["x", "y"] },
    });
    expect(value(set(text, at("b", "e", "f"), [1]))).toMatchObject({ b: { e: { f: [1] } } });
    expect(value(set(text, at("b", "d", 0), undefined))).toMatchObject({ b: { d: ["y"] } });
    expect(value(set(text, at("a"), undefined))).toEqual({ b: { c: 2, d: ["x", "y"] } });
    expect(value(append(text, at("b", "d"), { id: "z", list: ["q"] }))).toMatchObject({
      b: { d: ["x", "y", { id: "z", list: ["q"] }] },
    });
    expect(value(set(text, at("b", "d"), undefined))).toEqual({ a: 1, b: { c: 2 } });
    expect(value(set(text, at("a"), "one\ntwo\n"))).toMatchObject({ a: "one\ntwo\n" });
    const before = value(text);
    const after = { a: 3, b: { c: 2, d: ["x", "w"], g: { h: "{{input}}" } } };
    expect(value(update(text, at(), before, after))).toEqual(after);
  }
});

test("comments stay through edits beside them", () => {
  const text = "a: 1 # one\n# before b\nb:\n  c: 2 # two\n";
  expect(set(text, { doc: 0, path: ["a"] }, 5)).toBe("a: 5 # one\n# before b\nb:\n  c: 2 # two\n");
  expect(set(text, { doc: 0, path: ["b", "d"] }, "x")).toBe(`${text}  d: x\n`);
});

test("what an alias stands for is not changed in one of its places only", () => {
  const text = "base: &base {a: 1}\nother: *base\n";
  expect(() => set(text, { doc: 0, path: ["other", "a"] }, 2)).toThrow(EditRefused);
});

test("a text with a fault is not edited", () => {
  expect(() => set("a: [", { doc: 0, path: ["a"] }, 1)).toThrow("fault of syntax");
});

/** The texts in which the last item, or what is added, may read otherwise within the whole. */
const TRICKY: Record<string, string> = {
  "a block scalar that keeps its blank lines": "    - id: a\n      text: |+\n        one\n\n\n",
  "an alias": "    - &first {id: a}\n    - {id: b, input: &b {x: 1}}\n    - {id: c, input: *b}\n",
  "a list of lists": "    - - id: a\n    - - id: b\n",
  "a comment behind": "    - id: a # last\n    # of all\n",
  "no end of the last line": "    - id: a",
  "a flow list over lines": "    [\n      {id: a},\n      {id: b}, # last\n    ]\n",
};
test.each(Object.entries(TRICKY))("an item is added behind %s", (_, tasks_) => {
  const head = "apiVersion: workflow.io/v1\nkind: Workflow\nspec:\n  tasks:\n";
  for (const text of [head + tasks_, `%YAML 1.1\n---\n${head}${tasks_}`]) {
    const made = append(text, PLACE, { id: "new", text: "yes\n\n", on: "off" });
    const [before, after] = [text, made].map((each) => parsedAnew(each).values[0]);
    const expected = structuredClone(before) as { spec: { tasks: unknown[] } };
    expected.spec.tasks.push({ id: "new", text: "yes\n\n", on: "off" });
    expect(after).toEqual(expected);
    expect(parsed(made).values[0]).toEqual(expected);
  }
});
