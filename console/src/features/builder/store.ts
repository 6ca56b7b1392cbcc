/** The shown state of the builder: the text, the tasks read of it, the selection, the findings. */

import { create } from "zustand";
import type { AnalysisAnswer } from "@/api/schema";
import type { Shown } from "@/editing/draftSession";
import type { Edge } from "@/editing/edgeLines";
import type { NodeStatus } from "@/model/status";
import { type Path, parsed } from "@/text/source";
import {
  type Position,
  positionsOf,
  type Task,
  tasksOf,
  tasksPlace,
  type Workflow,
  workflowOf,
} from "@/text/workflow";

/** A body whose tasks are shown: the id of its task, and the path from the list above. */
export interface Level {
  id: string;
  path: Path;
}

export interface BuilderState extends Shown {
  /** The last workflow that could be read; stale while the text has a fault. */
  workflow: Workflow | undefined;
  tasks: readonly Task[];
  positions: ReadonlyMap<string, Position>;
  levels: readonly Level[];
  selected: readonly string[];
  edge: Edge | undefined;
  analysis: AnalysisAnswer | undefined;
  /** Statuses of a dry run or of a started execution, by id of the task. */
  statuses: ReadonlyMap<string, NodeStatus> | undefined;
  /** Outputs of the same run, shown on the edges. */
  outputs: ReadonlyMap<string, unknown>;
  /** The input of the last run. */
  input: unknown;
  panel: Panel;
}

export type Panel = "text" | "task" | "run" | "tests";

const EMPTY = parsed("");

export const INITIAL: BuilderState = {
  text: "",
  source: EMPTY,
  workflow: undefined,
  fault: undefined,
  tasks: [],
  positions: new Map(),
  levels: [],
  selected: [],
  edge: undefined,
  notice: undefined,
  findings: [],
  checked: undefined,
  analysis: undefined,
  statuses: undefined,
  outputs: new Map(),
  input: undefined,
  save: { word: "kept" },
  readOnly: undefined,
  panel: "text",
};

export const useBuilder = create<BuilderState>(() => INITIAL);

/** The place of the shown list of tasks. */
export function placeOf({ workflow, levels }: Pick<BuilderState, "workflow" | "levels">) {
  return (
    workflow &&
    tasksPlace(
      workflow,
      levels.flatMap((each) => each.path),
    )
  );
}

/** Read the text anew; with a fault, the last good tasks stay. Return its name. */
export function readText(text: string): string | undefined {
  const source = parsed(text);
  const now = useBuilder.getState();
  if (now.source === source && now.text === text) return now.workflow?.name;
  const fault = source.faults[0];
  useBuilder.setState((before) => {
    if (fault) return { text, source, fault };
    const workflow = workflowOf(source);
    const found = graphOf(workflow, before.levels);
    const tasks = sharedTasks(before.tasks, found.tasks);
    const ids = new Set(tasks.map((each) => each.id));
    const selected = before.selected.filter((each) => ids.has(each));
    const shown = before.edge && ids.has(before.edge.from) && ids.has(before.edge.to);
    return {
      text,
      source,
      fault: undefined,
      workflow,
      ...found,
      tasks,
      selected: selected.length === before.selected.length ? before.selected : selected,
      edge: shown ? before.edge : undefined,
    };
  });
  return useBuilder.getState().workflow?.name;
}

function graphOf(workflow: Workflow | undefined, levels: readonly Level[]) {
  const place = placeOf({ workflow, levels });
  if (!workflow || !place) return { tasks: [], positions: new Map<string, Position>() };
  const tasks = tasksOf(workflow, place);
  return {
    tasks,
    positions: positionsOf(
      workflow,
      levels.map((each) => each.id),
    ),
  };
}

/** The tasks as they are known already where nothing of them changed; their boxes stay as they are. */
function sharedTasks(before: readonly Task[], after: readonly Task[]): readonly Task[] {
  const known = new Map(before.map((each) => [each.id, each]));
  return after.map((task) => {
    const same = known.get(task.id);
    return same && JSON.stringify(same) === JSON.stringify(task) ? same : task;
  });
}

/** Show the tasks within a body, or those of a level above. */
export function showLevels(levels: readonly Level[]): void {
  useBuilder.setState(({ workflow }) => ({
    levels,
    selected: [],
    edge: undefined,
    ...graphOf(workflow, levels),
  }));
}

export function select(ids: readonly string[], panel?: Panel): void {
  useBuilder.setState({ selected: ids, edge: undefined, ...(panel ? { panel } : {}) });
}
