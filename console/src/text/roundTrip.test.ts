import { readdirSync, readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addTask, connect, renameTask } from "./operations";
import { setPositions } from "./positions";
import { parsed, parsedAnew } from "./source";
import { positionsOf, tasksOf, tasksPlace, workflowOf } from "./workflow";

/** The machine may be busy with other tests. */
const LONG_MS = 60_000;

const ROOT = "../examples";
const EXAMPLES = (readdirSync(ROOT, { recursive: true }) as string[])
  .filter((name) => /\.(ya?ml|json)$/.test(name))
  .map((name) => ({ name, text: readFileSync(`${ROOT}/${name}`, "utf8") }))
  .filter(({ text }) => workflowOf(parsed(text)));

/** The first id of a graph in any of the formats that keep positions. */
function firstId(text: string): string | undefined {
  const workflow = workflowOf(parsed(text));
  if (!workflow) return undefined;
  const { value, format } = workflow;
  if (format === "native") return tasksOf(workflow, tasksPlace(workflow))[0]?.id;
  const nodes = (format === "graph" ? value.nodes : format === "steps" ? value.steps : undefined) as
    | { id: string }[]
    | undefined;
  return nodes?.[0]?.id ?? (format === "serverless" ? "first" : undefined);
}

/** The part that an edit inserted; undefined if it changed anything else. */
function inserted(before: string, after: string): string | undefined {
  let start = 0;
  while (start < before.length && before[start] === after[start]) start += 1;
  const length = after.length - before.length;
  return before.slice(start) === after.slice(start + length)
    ? after.slice(start, start + length)
    : undefined;
}

function moveFirst(text: string): void {
  const id = firstId(text);
  if (id === undefined) return;
  const next = setPositions(text, new Map([[id, { x: 40.4, y: -12 }]]));
  const part = inserted(text, next);
  const workflow = workflowOf(parsed(next));
  if (!workflow) throw new Error("the workflow is gone");
  expect(positionsOf(workflow, []).get(id)).toEqual({ x: 40, y: -12 });
  // A position that was there already is written over; nothing else changes.
  if (part === undefined) {
    const numbers = /-?\d+(\.\d+)?/g;
    expect(next.replace(numbers, "0")).toBe(text.replace(numbers, "0"));
  } else expect(part).toMatch(/40, -12|"y": -12|"x": 40|40,\s*-12/);
}

describe("a moved task changes nothing but its position", () => {
  test("the examples are there", () => expect(EXAMPLES.length).toBeGreaterThan(35));
  test.each(EXAMPLES)("$name", ({ text }) => moveFirst(text));
});

const word = fc.stringMatching(/^[a-z][a-z0-9]{0,7}$/);
const comment = fc.option(fc.stringMatching(/^[ A-Za-z0-9:"'{}-]{0,20}$/), { nil: undefined });
const quote = fc.constantFrom("plain", "single", "double");
const gap = fc.constantFrom("", "\n", "    # a line of its own\n");

interface Drawn {
  ids: string[];
  style: string[];
  remarks: (string | undefined)[];
  quotes: string[];
  gaps: string[];
  annotated: boolean;
  ends: boolean;
  second: boolean;
  dash: number;
}

const drawn: fc.Arbitrary<Drawn> = fc.record({
  ids: fc.uniqueArray(word, { minLength: 1, maxLength: 8 }),
  style: fc.array(fc.constantFrom("block", "flow", "wide"), { minLength: 8, maxLength: 8 }),
  remarks: fc.array(comment, { minLength: 8, maxLength: 8 }),
  quotes: fc.array(quote, { minLength: 8, maxLength: 8 }),
  gaps: fc.array(gap, { minLength: 8, maxLength: 8 }),
  annotated: fc.boolean(),
  ends: fc.boolean(),
  second: fc.boolean(),
  dash: fc.constantFrom(2, 4),
});

function quoted(text: string, style: string): string {
  if (style === "single") return `'${text}'`;
  return style === "double" ? `"${text}"` : text;
}

/** A document in a mixture of the ways in which people write YAML. */
function written(made: Drawn): string {
  const pad = " ".repeat(made.dash);
  const tasks = made.ids.map((id, place) => {
    const name = quoted(id, made.quotes[place] ?? "plain");
    const remark = made.remarks[place] === undefined ? "" : ` # ${made.remarks[place]}`;
    const after = place > 0 ? made.ids[place - 1] : undefined;
    if (made.style[place] === "flow") {
      const needs = after ? `, dependsOn: [${after}]` : "";
      return `${pad}- {id: ${name}, taskRef: noop${needs}}${remark}\n`;
    }
    const needs = !after
      ? ""
      : made.style[place] === "wide"
        ? `${pad}  dependsOn:\n${pad}    - ${after}  # before\n`
        : `${pad}  dependsOn: [ ${after} ]\n`;
    return `${pad}- id: ${name}${remark}\n${pad}  taskRef:   noop\n${needs}`;
  });
  const body = tasks.map((each, place) => (made.gaps[place] ?? "") + each).join("");
  const annotations = made.annotated ? "  annotations: {owner: shop}   # of the shop\n" : "";
  const task =
    "---\napiVersion: workflow.io/v1\nkind: WorkflowTask\nmetadata: {name: other}\nspec: {type: greet}\n";
  const text = `# A heading.\n${made.second ? task.slice(4) : ""}${made.second ? "---\n" : ""}apiVersion: workflow.io/v1\nkind: Workflow\nmetadata:\n  name: made  # a name\n${annotations}spec:\n  tasks:\n${body}  output: {all: "{{tasks.${made.ids[0]}.output}}"}\n`;
  return made.ends ? text : text.trimEnd();
}

test(
  "a task of 200 generated documents is moved, and nothing else changes",
  () => {
    fc.assert(
      fc.property(drawn, (made) => moveFirst(written(made))),
      { numRuns: 200, seed: 44 },
    );
  },
  LONG_MS,
);

test(
  "edges and new ids keep all comments of generated documents",
  () => {
    fc.assert(
      fc.property(drawn, (made) => {
        fc.pre(made.ids.length > 2);
        const text = written(made);
        const workflow = workflowOf(parsed(text));
        if (!workflow) throw new Error("no workflow");
        const place = tasksPlace(workflow);
        const [first = "", , third = ""] = made.ids;
        const joined = connect(text, place, first, third);
        const renamed = renameTask(joined, place, first, "renamed-1");
        const comments = (each: string) => each.match(/#.*/g) ?? [];
        expect(comments(renamed)).toEqual(comments(text));
        const after = workflowOf(parsed(renamed));
        if (!after) throw new Error("no workflow");
        const tasks = tasksOf(after, place);
        expect(tasks.find((each) => each.id === third)?.after.map((each) => each.task)).toContain(
          "renamed-1",
        );
        expect(JSON.stringify(after.value.spec)).toContain("renamed-1");
      }),
      { numRuns: 200, seed: 45 },
    );
  },
  LONG_MS,
);

test(
  "a task that is added to 200 generated documents is known as the text reads",
  () => {
    fc.assert(
      fc.property(drawn, fc.string(), (made, words) => {
        const text = written(made);
        const workflow = workflowOf(parsed(text));
        if (!workflow) throw new Error("no workflow");
        const place = tasksPlace(workflow);
        const task = { id: "added-1", taskRef: "noop", input: { words }, dependsOn: [made.ids[0]] };
        const once = addTask(text, place, task);
        const twice = connect(addTask(once, place, { id: "added-2" }), place, "added-1", "added-2");
        for (const each of [once, twice]) {
          expect(parsed(each).values).toStrictEqual(parsedAnew(each).values);
          expect(parsed(each).faults).toEqual([]);
          expect(String(parsed(each).documents)).toBe(String(parsedAnew(each).documents));
        }
      }),
      { numRuns: 200, seed: 46 },
    );
  },
  LONG_MS,
);
