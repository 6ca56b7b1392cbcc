/** Edits of the canvas: tasks and edges as changes of the text of a native workflow. */

import { append, appendDocument, EditRefused, set, update, valueAt } from "./edits";
import { forgetPositions, movePositions } from "./positions";
import { type Place, parsed } from "./source";
import {
  circle,
  downstream,
  mentioned,
  type Task,
  tasksOf,
  type Workflow,
  workflowOf,
} from "./workflow";

type Json = Record<string, unknown>;

interface Graph {
  workflow: Workflow;
  tasks: Task[];
}

function graphAt(text: string, place: Place): Graph {
  const source = parsed(text);
  const workflow = workflowOf(source);
  if (!workflow || source.faults.length > 0)
    throw new EditRefused("the text has a fault of syntax");
  return { workflow, tasks: tasksOf(workflow, place) };
}

function taskIn(graph: Graph, id: string): Task {
  const found = graph.tasks.find((each) => each.id === id);
  if (!found) throw new EditRefused(`there is no task ${id}`);
  return found;
}

/** An id that no task of the graph has. */
export function freeId(tasks: readonly { id: string }[], wanted: string): string {
  const taken = new Set(tasks.map((each) => each.id));
  const base = wanted.replace(/[^A-Za-z0-9._:-]+/g, "-").replace(/^-+|-+$/g, "") || "task";
  for (let number = 1; ; number += 1) {
    const id = number === 1 ? base : `${base}-${number}`;
    if (!taken.has(id)) return id;
  }
}

/** Add a task, with the resources that it needs of which the text has none of that name. */
export function addTask(
  text: string,
  place: Place,
  task: Json,
  resources: readonly Json[] = [],
): string {
  return resources.reduce(
    (added, resource) => {
      const name = (resource.metadata as Json).name;
      const known = parsed(added).values.some((each) => {
        const { kind, metadata } = (each ?? {}) as Json;
        return kind === resource.kind && (metadata as Json)?.name === name;
      });
      return known ? added : appendDocument(added, resource);
    },
    append(text, place, task),
  );
}

/** Remove tasks, the edges to them and their positions. */
export function removeTasks(text: string, place: Place, ids: readonly string[]): string {
  const gone = new Set(ids);
  const { workflow, tasks } = graphAt(text, place);
  let result = text;
  for (const task of tasks) {
    if (gone.has(task.id) || !task.after.some((each) => gone.has(each.task))) continue;
    const kept = (task.value.dependsOn as unknown[]).filter((each) => !gone.has(taskOfEdge(each)));
    result = setEdges(result, task, kept);
  }
  for (const task of [...tasks].reverse()) {
    if (gone.has(task.id)) result = set(result, task.place, undefined);
  }
  return forgetPositions(result, workflow, (key) => key.split("/").some((each) => gone.has(each)));
}

function taskOfEdge(edge: unknown): string {
  return typeof edge === "string" ? edge : String((edge as Json)?.task ?? "");
}

function setEdges(text: string, task: Task, edges: unknown[]): string {
  const place = { doc: task.place.doc, path: [...task.place.path, "dependsOn"] };
  if (edges.length === 0) return set(text, place, undefined);
  const before = task.value.dependsOn as unknown[];
  if (!Array.isArray(before) || before.length === 0) return set(text, place, edges);
  let result = text;
  for (let index = before.length - 1; index >= 0; index -= 1) {
    const kept = edges.some((each) => taskOfEdge(each) === taskOfEdge(before[index]));
    const at = { doc: place.doc, path: [...place.path, index] };
    if (!kept) result = set(result, at, undefined);
  }
  for (const edge of edges) {
    if (!before.some((each) => taskOfEdge(each) === taskOfEdge(edge))) {
      result = append(result, place, edge);
    }
  }
  return result;
}

/** An edge as `dependsOn` has it: on success, or on an outcome. */
export function edgeFrom(task: string, on?: string): Json | string {
  return on ? { task, on } : task;
}

/** Let a task run after another one; circles and repeated edges are refused. */
export function connect(text: string, place: Place, from: string, to: string, on?: string): string {
  const graph = graphAt(text, place);
  const task = taskIn(graph, to);
  taskIn(graph, from);
  const fault = refusal(graph.tasks, from, to);
  if (fault) throw new EditRefused(fault);
  const at = { doc: task.place.doc, path: [...task.place.path, "dependsOn"] };
  return append(text, at, edgeFrom(from, on));
}

/** The outcomes of a task besides success: the conditions of a decision, its default, failure. */
export function outcomesOf(task: Task | undefined): string[] {
  return [...branchesOf(task), "failure"];
}

function branchesOf(task: Task | undefined): string[] {
  const decision = (task?.value.decision ?? {}) as {
    conditions?: { id?: string }[];
    default?: string[];
  };
  const named = [
    ...(decision.conditions ?? []).map((each) => each?.id ?? ""),
    ...(Array.isArray(decision.default) ? decision.default : []),
  ];
  return named.filter(Boolean);
}

/** The branch of a decision that no task takes yet, its last one where all are taken. */
export function freeBranch(tasks: readonly Task[], from: string): string | undefined {
  const branches = branchesOf(tasks.find((each) => each.id === from));
  const taken = new Set(
    tasks.flatMap((each) => each.after.filter((edge) => edge.task === from).map(({ on }) => on)),
  );
  return branches.find((each) => !taken.has(each)) ?? branches.at(-1);
}

/** The reason for which an edge cannot be drawn. */
export function refusal(tasks: readonly Task[], from: string, to: string): string | undefined {
  if (from === to) return `a task cannot wait for itself: ${from}`;
  const target = tasks.find((each) => each.id === to);
  if (target?.after.some((each) => each.task === from)) return `${to} already waits for ${from}`;
  const path = circle(tasks, from, to);
  return path && `would close a circle: ${path.join(" → ")}`;
}

/** The tasks from which an edge to a task can be drawn. */
export function possibleBefore(tasks: readonly Task[], to: string): Task[] {
  const later = downstream(tasks, to);
  const known = new Set(tasks.find((each) => each.id === to)?.after.map((each) => each.task));
  return tasks.filter((each) => !later.has(each.id) && !known.has(each.id));
}

export function disconnect(text: string, place: Place, from: string, to: string): string {
  const task = taskIn(graphAt(text, place), to);
  const edges = (task.value.dependsOn ?? []) as unknown[];
  return setEdges(
    text,
    task,
    edges.filter((each) => taskOfEdge(each) !== from),
  );
}

/** Take an edge for another outcome or label. */
export function relabel(
  text: string,
  place: Place,
  edge: { from: string; to: string; on: string | undefined },
): string {
  const task = taskIn(graphAt(text, place), edge.to);
  const index = task.after.findIndex((each) => each.task === edge.from);
  if (index < 0) throw new EditRefused(`${edge.to} does not wait for ${edge.from}`);
  const at = { doc: task.place.doc, path: [...task.place.path, "dependsOn", index] };
  return set(text, at, edge.on ? { task: edge.from, on: edge.on } : edge.from);
}

/** Add a task on an edge: it follows the start, and the end follows it. */
export function insertTask(
  text: string,
  place: Place,
  edge: { from: string; to: string },
  task: Json,
  resources: readonly Json[] = [],
): string {
  const graph = graphAt(text, place);
  const index = taskIn(graph, edge.to).after.findIndex((each) => each.task === edge.from);
  const added = addTask(text, place, { ...task, dependsOn: [edge.from] }, resources);
  if (index < 0) return connect(added, place, String(task.id), edge.to);
  const end = taskIn(graph, edge.to).place;
  return set(added, { doc: end.doc, path: [...end.path, "dependsOn", index] }, task.id);
}

/** Rename a task with all that refers to it: edges, templates, positions. */
export function renameTask(text: string, place: Place, from: string, to: string): string {
  const graph = graphAt(text, place);
  if (!/^[A-Za-z0-9._:-]{1,128}$/.test(to)) {
    throw new EditRefused(`${to || "an empty text"} is no id: letters, digits and . _ : - only`);
  }
  if (graph.tasks.some((each) => each.id === to))
    throw new EditRefused(`${to} is the id of another task`);
  const task = taskIn(graph, from);
  let result = set(text, { doc: place.doc, path: [...task.place.path, "id"] }, to);
  for (const each of graph.tasks) {
    if (each.id === from) continue;
    for (const [index, edge] of each.after.entries()) {
      if (edge.task !== from) continue;
      const at = { doc: place.doc, path: [...each.place.path, "dependsOn", index] };
      result = set(result, at, edge.on ? { task: to, on: edge.on } : to);
    }
  }
  const value = parsed(result).values[place.doc];
  const before = valueAt(value, ["spec"]);
  if (mentioned(before).has(from)) {
    const spec = { doc: place.doc, path: ["spec"] };
    result = update(result, spec, before, renamed(before, from, to));
  }
  return movePositions(result, from, to);
}

function renamed(value: unknown, from: string, to: string): unknown {
  if (typeof value === "string") {
    const plain = new RegExp(`\\btasks\\.${escapedRegExp(from)}(?![A-Za-z0-9_-])`, "g");
    const quoted = new RegExp(`\\btasks\\[(["'])${escapedRegExp(from)}\\1\\]`, "g");
    return value.replace(plain, `tasks.${to}`).replace(quoted, `tasks[$1${to}$1]`);
  }
  if (Array.isArray(value)) return value.map((each) => renamed(each, from, to));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, renamed(each, from, to)]),
  );
}

function escapedRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** Put tasks into a body such as a group; edges from and to them become those of the body. */
export function wrapTasks(
  text: string,
  place: Place,
  ids: readonly string[],
  body: { id: string; kind: string; members: Json },
): string {
  const { tasks } = graphAt(text, place);
  const inside = new Set(ids);
  const chosen = tasks.filter((each) => inside.has(each.id));
  const outer = (edges: unknown[]) => edges.filter((each) => !inside.has(taskOfEdge(each)));
  const before = chosen.flatMap((each) => outer((each.value.dependsOn ?? []) as unknown[]));
  const names = new Set<string>();
  const dependsOn = before.filter((each) => {
    const name = taskOfEdge(each);
    return !names.has(name) && !!names.add(name);
  });
  const inner = chosen.map(({ value }) => {
    const { dependsOn: edges, ...rest } = value;
    const kept = ((edges ?? []) as unknown[]).filter((each) => inside.has(taskOfEdge(each)));
    return kept.length > 0 ? { ...rest, dependsOn: kept } : rest;
  });
  let result = removeTasks(text, place, ids);
  const made = {
    id: body.id,
    ...(dependsOn.length > 0 ? { dependsOn } : {}),
    [body.kind]: { ...body.members, tasks: inner },
  };
  result = append(result, place, made);
  for (const task of tasks) {
    if (inside.has(task.id) || !task.after.some((each) => inside.has(each.task))) continue;
    result = connect(result, place, body.id, task.id);
  }
  return result;
}
