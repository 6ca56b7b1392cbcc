/** The canvas: tasks are moved, connected and chosen by pointer and by keys. */

import { Maximize, Minus, Plus } from "lucide-react";
import {
  type DragEvent,
  type KeyboardEvent,
  type PointerEvent,
  useMemo,
  useRef,
  useState,
} from "react";
import { IconButton } from "@/design/primitives";
import { say } from "@/model/messages";
import { connect, disconnect, refusal, removeTasks } from "@/text/operations";
import { setPositions } from "@/text/positions";
import type { Position, Task } from "@/text/workflow";
import { type Addition, addedTo, DRAGGED } from "./additions";
import { findingsOf } from "./diagnostics";
import { EdgeLines } from "./edgeLines";
import { curve, type Placed, placedOf, tasksOfAnalysis } from "./placing";
import { useSession } from "./session";
import styles from "./stage.module.css";
import { select, showLevels, useBuilder } from "./store";
import { NODE, TaskBox } from "./taskBox";
import { useView } from "./view";

const DRAG_PX = 4;
const NUDGE = 20;

/** What the pointer does: it moves tasks, or draws an edge from one. */
type Gesture =
  | { kind: "move"; ids: readonly string[]; dx: number; dy: number }
  | { kind: "edge"; from: string; x: number; y: number; over: string | undefined };

export function Stage() {
  const session = useSession();
  const state = useBuilder();
  const { workflow, analysis, positions, selected, edge, fault, readOnly, statuses } = state;
  const foreign = workflow && workflow.format !== "native";
  const tasks = useMemo(
    () => (foreign && analysis ? tasksOfAnalysis(analysis, workflow) : state.tasks),
    [foreign, analysis, workflow, state.tasks],
  );
  const placed = useMemo(() => placedOf(tasks, positions), [tasks, positions]);
  const faults = useMemo(
    () => findingsOf(state.findings, tasks, state.source),
    [state.findings, tasks, state.source],
  );
  const frame = useRef<HTMLDivElement>(null);
  const { view, pan, zoom, whole, touch } = useView(frame, placed);
  const [gesture, setGesture] = useState<Gesture>();
  const [joining, setJoining] = useState<string>();
  const shown = useMemo(() => moved(placed, gesture), [placed, gesture]);
  const editable = !fault && !readOnly && !foreign;

  const join = (from: string, to: string) => {
    setJoining(undefined);
    session.edit((text, place) => connect(text, place, from, to));
  };
  const place = (ids: readonly string[], dx: number, dy: number) => {
    const prefix = state.levels.map((each) => `${each.id}/`).join("");
    const next = new Map<string, Position>();
    for (const id of ids) {
      const at = placed.at.get(id);
      if (at) next.set(prefix + id, { x: at.x + dx, y: at.y + dy });
    }
    session.edit((text) => setPositions(text, next));
  };
  const within = (event: { clientX: number; clientY: number }): Position => {
    const box = frame.current?.getBoundingClientRect();
    return {
      x: (event.clientX - (box?.left ?? 0) - view.x) / view.scale,
      y: (event.clientY - (box?.top ?? 0) - view.y) / view.scale,
    };
  };
  const begin = (event: PointerEvent, id: string | undefined, handle: boolean) => {
    if (event.button !== 0) return;
    touch();
    const target = frame.current as HTMLDivElement;
    target.setPointerCapture(event.pointerId);
    const start = { x: event.clientX, y: event.clientY };
    const ids = id && selected.includes(id) ? selected : id ? [id] : [];
    let last: Gesture | undefined;
    const move = (next: globalThis.PointerEvent) => {
      const [dx, dy] = [next.clientX - start.x, next.clientY - start.y];
      if (!last && Math.abs(dx) + Math.abs(dy) < DRAG_PX) return;
      if (!id) {
        pan(next.movementX, next.movementY);
        return;
      }
      if (handle) {
        const over = taskUnder(next);
        last = { kind: "edge", from: id, ...within(next), over };
      } else last = { kind: "move", ids, dx: dx / view.scale, dy: dy / view.scale };
      setGesture(last);
    };
    const end = (next: globalThis.PointerEvent) => {
      target.removeEventListener("pointermove", move);
      target.removeEventListener("pointerup", end);
      target.removeEventListener("pointercancel", end);
      setGesture(undefined);
      if (next.type === "pointercancel") return;
      if (last?.kind === "edge") {
        if (last.over) join(last.from, last.over);
      } else if (last) place(last.ids, last.dx, last.dy);
      else if (Math.abs(next.clientX - start.x) + Math.abs(next.clientY - start.y) < DRAG_PX) {
        if (id && joining) join(joining, id);
        else if (id && next.shiftKey) select(toggled(selected, id));
        else select(id ? [id] : [], id ? "task" : undefined);
        if (id) focusTask(target, id);
      }
    };
    target.addEventListener("pointermove", move);
    target.addEventListener("pointerup", end);
    target.addEventListener("pointercancel", end);
  };
  const remove = () => {
    if (edge) session.edit((text, at) => disconnect(text, at, edge.from, edge.to));
    else if (selected.length > 0) session.edit((text, at) => removeTasks(text, at, selected));
  };
  const keys = (event: KeyboardEvent) => {
    const id = (event.target as HTMLElement).dataset.task;
    const step = STEPS[event.key];
    if (event.key === "Delete" || event.key === "Backspace") remove();
    else if (event.key === "Escape") setJoining(undefined);
    else if (id && event.altKey && step) {
      place(selected.includes(id) ? selected : [id], step[0] * NUDGE, step[1] * NUDGE);
    } else if (id && step) {
      const next = neighbour(shown, id, step);
      if (next) focusTask(event.currentTarget, next);
    } else if (id && event.key === "Enter") {
      if (joining) join(joining, id);
      else select([id], "task");
    } else if (id && event.key === " ") select(toggled(selected, id));
    else if (id && event.key === "c") setJoining(id);
    else if (id && event.key === "o") open(tasks.find((each) => each.id === id));
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const open = (task: Task | undefined) => {
    const path = task?.inner[0];
    const index = task?.place.path.at(-1);
    if (task && path && index !== undefined) {
      showLevels([...state.levels, { id: task.id, path: [index, ...path] }]);
    }
  };
  const drop = (event: DragEvent) => {
    const data = event.dataTransfer.getData(DRAGGED);
    if (!data) return;
    event.preventDefault();
    const line = (event.target as Element).closest<SVGElement>("[data-edge]")?.dataset.edge;
    const [from, to] = line ? (JSON.parse(line) as [string, string]) : [];
    const at = within(event);
    addedTo(session, JSON.parse(data) as Addition, {
      on: from && to ? { from, to } : undefined,
      at: { x: at.x - NODE.width / 2, y: at.y - NODE.height / 2 },
    });
  };
  const candidate = gesture?.kind === "edge" ? gesture.from : joining;
  return (
    <div
      ref={frame}
      className={styles.stage}
      data-stale={!!fault || undefined}
      data-testid="stage"
      role="application"
      aria-label={say("builder.canvas")}
      onPointerDown={(event) => begin(event, undefined, false)}
      onKeyDown={keys}
      onDragOver={(event) => event.preventDefault()}
      onDrop={drop}
    >
      <div
        className={styles.plane}
        style={{ transform: `translate(${view.x}px, ${view.y}px) scale(${view.scale})` }}
      >
        <EdgeLines placed={shown} chosen={edge} editable={editable} />
        {gesture?.kind === "edge" && (
          <svg className={styles.drawn} aria-hidden>
            <title>{say("builder.newEdge")}</title>
            <path
              d={curve(placed.at.get(gesture.from) ?? gesture, {
                x: gesture.x,
                y: gesture.y - NODE.height / 2,
              })}
            />
          </svg>
        )}
        {tasks.map((task) => (
          <TaskBox
            key={task.id}
            task={task}
            at={shown.at.get(task.id) ?? ORIGIN}
            selected={selected.includes(task.id)}
            status={statuses?.get(task.id)}
            findings={faults.get(task.id)}
            refused={candidate ? refusal(tasks, candidate, task.id) : undefined}
            target={!!candidate && candidate !== task.id}
            editable={editable}
            begin={begin}
            open={open}
          />
        ))}
      </div>
      {joining && (
        <p className={styles.hint} role="status">
          {say("builder.joining", { id: joining })}
        </p>
      )}
      <div className={styles.tools} onPointerDown={(event) => event.stopPropagation()}>
        <IconButton label={say("graph.zoomIn")} onClick={() => zoom(1.3)}>
          <Plus size={15} />
        </IconButton>
        <IconButton label={say("graph.zoomOut")} onClick={() => zoom(1 / 1.3)}>
          <Minus size={15} />
        </IconButton>
        <IconButton label={say("graph.whole")} onClick={whole}>
          <Maximize size={14} />
        </IconButton>
      </div>
    </div>
  );
}

const ORIGIN: Position = { x: 0, y: 0 };
const STEPS: Record<string, readonly [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

function toggled(ids: readonly string[], id: string): string[] {
  return ids.includes(id) ? ids.filter((each) => each !== id) : [...ids, id];
}

function taskUnder(event: { clientX: number; clientY: number }): string | undefined {
  const found = document.elementFromPoint(event.clientX, event.clientY);
  return found?.closest<HTMLElement>("[data-task]")?.dataset.task;
}

function focusTask(frame: Element, id: string): void {
  frame.querySelector<HTMLElement>(`[data-task="${CSS.escape(id)}"]`)?.focus();
}

/** The places while tasks are dragged. */
function moved(placed: Placed, gesture: Gesture | undefined): Placed {
  if (gesture?.kind !== "move") return placed;
  const at = new Map(placed.at);
  for (const id of gesture.ids) {
    const from = placed.at.get(id);
    if (from) at.set(id, { x: from.x + gesture.dx, y: from.y + gesture.dy });
  }
  return { ...placed, at };
}

/** The nearest task in a direction. */
function neighbour(
  placed: Placed,
  id: string,
  [dx, dy]: readonly [number, number],
): string | undefined {
  const from = placed.at.get(id) ?? ORIGIN;
  let best: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const [other, { x, y }] of placed.at) {
    const along = (x - from.x) * dx + (y - from.y) * dy;
    const aside = Math.abs((x - from.x) * dy) + Math.abs((y - from.y) * dx);
    const far = along + 2 * aside;
    if (other !== id && along > 1 && far < least) [best, least] = [other, far];
  }
  return best;
}
