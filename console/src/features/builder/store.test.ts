import { expect, test } from "vitest";
import { addTask } from "@/text/operations";
import { placeOf, readText, useBuilder } from "./store";

const TEXT = `apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: shared}
spec:
  tasks:
    - {id: a, taskRef: noop}
    - {id: b, taskRef: noop, dependsOn: [a]}
`;

test("tasks that an edit leaves alone stay the same values, so that they are not drawn anew", () => {
  readText(TEXT);
  const { tasks, ...state } = useBuilder.getState();
  const place = placeOf(state);
  if (!place) throw new Error("there are no tasks");
  readText(addTask(TEXT, place, { id: "c", taskRef: "noop", dependsOn: ["b"] }));
  const after = useBuilder.getState().tasks;
  expect(after.map(({ id }) => id)).toEqual(["a", "b", "c"]);
  expect(after[0]).toBe(tasks[0]);
  expect(after[1]).toBe(tasks[1]);
  readText(TEXT.replace("id: b, taskRef: noop", "id: b, taskRef: delay"));
  expect(useBuilder.getState().tasks[1]).not.toBe(tasks[1]);
  expect(useBuilder.getState().tasks[1]?.ref).toBe("delay");
});
