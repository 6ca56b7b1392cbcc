/** What the palette adds to the canvas: tasks of the library, built-in types, control, templates. */

import type { TaskAnswer, TaskTypeValue, TemplateAnswer } from "@/api/schema";
import type { Edge } from "@/editing/edgeLines";
import { say } from "@/model/messages";
import { addTask, edgeFrom, freeBranch, freeId, insertTask, refusal } from "@/text/operations";
import { setPositions } from "@/text/positions";
import { parsed } from "@/text/source";
import { type Position, tasksOf, workflowOf } from "@/text/workflow";
import type { Session } from "./session";
import { select, useBuilder } from "./store";

/** The type of dragged data. */
export const DRAGGED = "application/x-flowmesh-task";

export interface Addition {
  key: string;
  label: string;
  about: string;
  group: "library" | "types" | "control" | "templates";
  kind: string;
  /** The wanted id of the task. */
  id: string;
  members: Record<string, unknown>;
  /** Resources that the text needs beside the workflow. */
  resources?: readonly Record<string, unknown>[] | undefined;
  fixed?: boolean | undefined;
  /** The template whose parameters are asked for first. */
  template?: TemplateAnswer | undefined;
}

const INNER = { id: "step", taskRef: "noop" };
/** Control nodes with the least that makes them valid. */
const CONTROL: readonly [kind: string, members: Record<string, unknown>][] = [
  ["decision", { decision: { conditions: [{ id: "yes", expression: "true" }], default: ["no"] } }],
  ["map", { map: { items: "{{input.items}}", tasks: [INNER] } }],
  ["group", { group: { tasks: [INNER] } }],
  [
    "race",
    { race: { tasks: [INNER, { id: "limit", taskRef: "delay", input: { duration: "1m" } }] } },
  ],
  ["loop", { loop: { while: "state.round < 3", state: { round: 0 }, tasks: [INNER] } }],
  ["try", { try: { tasks: [INNER], catch: [{ tasks: [{ id: "handle", taskRef: "noop" }] }] } }],
  ["subworkflow", { subworkflow: { workflow: "name", input: "{{input}}" } }],
  ["wait", { wait: { event: "signal" } }],
  ["approval", { approval: { title: "Approve {{input.id}}?" } }],
];

const DIRECT: readonly [ref: string, kind: string, input: unknown][] = [
  ["transform", "transform", { source: "{{input}}", pipeline: [] }],
  ["delay", "wait", { duration: "10s" }],
  ["noop", "taskRef", undefined],
];

export function additionsOf(
  library: readonly TaskAnswer[],
  types: readonly TaskTypeValue[],
  templates: readonly TemplateAnswer[],
): Addition[] {
  const control = CONTROL.map(([kind, members]): Addition => {
    const label = say(`builder.kind.${kind as "map"}`);
    return {
      key: `control ${kind}`,
      label,
      about: say(`builder.about.${kind as "map"}`),
      group: "control",
      kind,
      id: kind,
      members,
    };
  });
  const tasks = library.map((each): Addition => {
    const about = say("builder.taskOf", { type: each.type, version: each.version });
    const members = { taskRef: each.name };
    return {
      key: `task ${each.name}`,
      label: each.name,
      about,
      group: "library",
      kind: "taskRef",
      id: each.name,
      members,
    };
  });
  const direct = DIRECT.map(([ref, kind, input]): Addition => {
    const members = input === undefined ? { taskRef: ref } : { taskRef: ref, input };
    const about = types.find((each) => each.name === ref)?.summary ?? "";
    return { key: `type ${ref}`, label: ref, about, group: "types", kind, id: ref, members };
  });
  const made = types.filter((each) => each.block && !DIRECT.some(([ref]) => ref === each.name));
  return [...control, ...direct, ...made.map(typed), ...tasks, ...templates.map(templated)];
}

function templated(template: TemplateAnswer): Addition {
  const { name, description } = template;
  const about = `${description} ${say("builder.templateAdds")}`.trim();
  const base = { key: `template ${name}`, label: name, about, id: name, members: {} };
  return { ...base, group: "templates", kind: "template", template, fixed: true };
}

interface Resource extends Record<string, unknown> {
  kind?: unknown;
  spec?: { tasks?: unknown };
}

/** The text that a template made, as a group of its tasks with the resources that they need. */
export function groupOf(addition: Addition, text: string): Addition {
  const values = parsed(text).values as Resource[];
  const workflow = values.find((each) => each?.kind === "Workflow");
  const tasks = workflow?.spec?.tasks ?? [];
  const resources = values.filter((each) => each?.kind === "WorkflowTask");
  const { template: _, fixed: __, ...rest } = addition;
  return { ...rest, kind: "group", members: { group: { tasks } }, resources };
}

/** A built-in type needs a task resource, which is written beside the workflow. */
function typed(type: TaskTypeValue): Addition {
  const name = type.name.replaceAll(".", "-");
  return {
    key: `type ${type.name}`,
    label: type.name,
    about: type.summary,
    group: "types",
    kind: "taskRef",
    id: name,
    members: { taskRef: name },
    resources: [
      {
        apiVersion: "workflow.io/v1",
        kind: "WorkflowTask",
        metadata: { name },
        spec: { type: type.native || type.name, [type.block]: exampleOf(type.parameters) },
      },
    ],
  };
}

/** The required members of a schema with values that show their form. */
function exampleOf(schema: unknown): unknown {
  const { properties = {}, required = [] } = schema as {
    properties?: Record<
      string,
      { default?: unknown; examples?: unknown[]; type?: unknown; enum?: unknown[] }
    >;
    required?: string[];
  };
  return Object.fromEntries(
    required.map((name) => {
      const found = properties[name] ?? {};
      const given = found.default ?? found.enum?.[0] ?? found.examples?.[0];
      if (given !== undefined) return [name, given];
      if (name === "url") return [name, "https://example.com/"];
      if (name === "method") return [name, "GET"];
      return [name, found.type === "object" ? {} : found.type === "array" ? [] : ""];
    }),
  );
}

export interface Where {
  on?: Edge | undefined;
  at?: Position | undefined;
  /** The task that it runs after; the selected ones without it and without a place. */
  after?: string | undefined;
}

/** Add to the shown list: on an edge, or behind the selected task; it is selected then. */
export function addedTo(session: Session, addition: Addition, { on, at, after }: Where = {}): void {
  const { selected, levels } = useBuilder.getState();
  const prefix = levels.map((each) => `${each.id}/`).join("");
  let made = "";
  const done = session.edit((text, place) => {
    const workflow = workflowOf(parsed(text));
    const tasks = workflow ? tasksOf(workflow, place) : [];
    const id = freeId(tasks, addition.id);
    const task = { id, ...addition.members };
    made = id;
    if (on) return insertTask(text, place, on, task, addition.resources);
    // Written with the task: each change of the text is read anew, which takes its time.
    const dependsOn = (after ? [after] : at ? [] : selected)
      .filter((before) => !refusal(tasks, before, id))
      .map((before) => edgeFrom(before, freeBranch(tasks, before)));
    const joined = dependsOn.length > 0 ? { ...task, dependsOn } : task;
    const next = addTask(text, place, joined, addition.resources);
    return at ? setPositions(next, new Map([[prefix + id, at]])) : next;
  });
  if (done) select([made], "task");
}
