import { redo, redoDepth, undo, undoDepth } from "@codemirror/commands";
import type { EditorState, Transaction } from "@codemirror/state";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { EditRefused } from "./edits";
import { change, textState } from "./history";
import { addTask, connect, freeId, removeTasks, renameTask } from "./operations";
import { setPositions } from "./positions";
import { type Place, parsed } from "./source";
import { type Task, tasksOf, tasksPlace, workflowOf } from "./workflow";

/** The machine may be busy with other tests. */
const LONG_MS = 60_000;

const TEXT = `# The order of a shop.
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: order}   # as in the shop
spec:
  tasks:
    - id: a          # first
      taskRef: noop
    - {id: b, taskRef: noop, dependsOn: [a]}
    - id: c
      taskRef: noop
      dependsOn:
        - a  # and not b
  output: {answer: "{{tasks.a.output}}"}
`;

interface Canvas {
  kind: "canvas";
  act: number;
  first: number;
  second: number;
}

type Step =
  | { kind: "type"; at: number; text: string }
  | { kind: "cut"; at: number; length: number }
  | Canvas
  | { kind: "undo" | "redo" };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("type" as const),
    at: fc.nat(),
    text: fc.constantFrom("x", "\n", "# note\n", "    - id: d\n", "{", '"', "  "),
  }),
  fc.record({
    kind: fc.constant("cut" as const),
    at: fc.nat(),
    length: fc.integer({ min: 1, max: 9 }),
  }),
  fc.record({
    kind: fc.constant("canvas" as const),
    act: fc.nat(4),
    first: fc.nat(9),
    second: fc.nat(9),
  }),
  fc.record({ kind: fc.constant("undo" as const) }),
  fc.record({ kind: fc.constant("redo" as const) }),
);

const ACTS: ((text: string, place: Place, tasks: Task[], one: string, other: string) => string)[] =
  [
    (text, place, tasks) => addTask(text, place, { id: freeId(tasks, "made"), taskRef: "noop" }),
    (text, place, _tasks, one, other) => connect(text, place, one, other),
    (text, place, _tasks, one) => removeTasks(text, place, [one]),
    (text, place, tasks, one) => renameTask(text, place, one, freeId(tasks, "named")),
    (text, _place, _tasks, one) => setPositions(text, new Map([[one, { x: 5, y: 7 }]])),
  ];

/** An edit of the canvas; while the text has a fault or it is refused, there is none. */
function drawnOn(text: string, made: Canvas): string {
  const source = parsed(text);
  const workflow = workflowOf(source);
  if (source.faults.length > 0 || !workflow) return text;
  const place = tasksPlace(workflow);
  const tasks = tasksOf(workflow, place);
  if (tasks.length < 2) return text;
  const pick = (number: number) => tasks[number % tasks.length]?.id ?? "";
  try {
    return ACTS[made.act]?.(text, place, tasks, pick(made.first), pick(made.second)) ?? text;
  } catch (raised) {
    if (raised instanceof EditRefused) return text;
    throw raised;
  }
}

class Page {
  state: EditorState = textState(TEXT);
  /** The text after every change; the last is what a draft keeps. */
  kept = TEXT;

  readonly dispatch = (made: Transaction) => {
    this.state = made.state;
    this.kept = made.state.doc.toString();
  };

  get text(): string {
    return this.state.doc.toString();
  }

  apply(made: Step): void {
    const { state } = this;
    const end = state.doc.length;
    if (made.kind === "undo") undo(this);
    else if (made.kind === "redo") redo(this);
    else if (made.kind === "type") {
      const from = made.at % (end + 1);
      this.dispatch(
        state.update({ changes: { from, insert: made.text }, userEvent: "input.type" }),
      );
    } else if (made.kind === "cut") {
      const from = made.at % (end + 1);
      const to = Math.min(end, from + made.length);
      this.dispatch(state.update({ changes: { from, to }, userEvent: "delete" }));
    } else if (made.kind === "canvas") {
      const spec = change(state, drawnOn(this.text, made));
      if (spec) this.dispatch(state.update(spec));
    }
  }
}

test(
  "50 interleavings of typing, canvas, undo and redo lose nothing",
  () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 60 }), (steps) => {
        const page = new Page();
        for (const each of steps) {
          const before = page.text;
          const undone = undoDepth(page.state);
          page.apply(each);
          // A canvas edit is one step of its own: one undo gives exactly the text before it.
          if (each.kind === "canvas" && page.text !== before) {
            expect(undoDepth(page.state)).toBe(undone + 1);
            const changed = page.text;
            undo(page);
            expect(page.text).toBe(before);
            redo(page);
            expect(page.text).toBe(changed);
          }
          expect(page.kept).toBe(page.text);
        }
        const last = page.text;
        while (redoDepth(page.state) > 0) redo(page);
        const newest = page.text;
        while (undoDepth(page.state) > 0) undo(page);
        expect(page.text).toBe(TEXT);
        while (redoDepth(page.state) > 0) redo(page);
        expect(page.text).toBe(newest);
        expect(last.length).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 50, seed: 7 },
    );
  },
  LONG_MS,
);

test(
  "five hundred steps are kept, and saving is no step",
  () => {
    const page = new Page();
    for (let number = 0; number < 500; number += 1) {
      const next = setPositions(page.text, new Map([["a", { x: number, y: 0 }]]));
      const spec = change(page.state, next);
      if (spec) page.dispatch(page.state.update(spec));
    }
    expect(undoDepth(page.state)).toBe(500);
    while (undoDepth(page.state) > 0) undo(page);
    expect(page.text).toBe(TEXT);
  },
  LONG_MS,
);

test("letters typed in a form are one step", () => {
  const page = new Page();
  for (const name of ["f", "fi", "fir"]) {
    const spec = change(
      page.state,
      page.text.replace(/taskRef: noop\S*/, `taskRef: noop${name}`),
      true,
    );
    if (spec) page.dispatch(page.state.update(spec));
  }
  expect(undoDepth(page.state)).toBe(1);
});
