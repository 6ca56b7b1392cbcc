/** A canvas: boxes are moved, connected and chosen by pointer and by keys. */

import {
  type DragEvent,
  type KeyboardEvent,
  type PointerEvent,
  type ReactNode,
  useCallback,
  useMemo,
  useRef,
  useState,
} from "react";
import { actOn, type KeyMap } from "@/app/keys";
import { say } from "@/model/messages";
import type { Position } from "@/text/workflow";
import { type Edge, EdgeLines } from "./edgeLines";
import { NODE } from "./nodeBox";
import { curve, type Placed } from "./placing";
import { type Here, useSearchHere } from "./searchHere";
import styles from "./stage.module.css";
import { useView } from "./view";
import { Minimap, Tools } from "./viewTools";

const DRAG_PX = 4;
/** The way of a box by one key. */
export const NUDGE = 20;

/** What the pointer does: it moves boxes, or draws an edge from one. */
type Gesture =
  | { kind: "move"; ids: readonly string[]; dx: number; dy: number }
  | { kind: "edge"; from: string; x: number; y: number; over: string | undefined };

/** What a box is drawn with. */
export interface BoxState {
  at: Position;
  selected: boolean;
  /** The reason for which an edge that is being drawn cannot end here. */
  refused: string | undefined;
  /** Whether an edge is being drawn from another box. */
  target: boolean;
  editable: boolean;
  begin: (event: PointerEvent, id: string, handle: boolean) => void;
}

export interface CanvasProps {
  label: string;
  ids: readonly string[];
  placed: Placed;
  selected: readonly string[];
  edge: Edge | undefined;
  /** The text has a fault; the last good state is shown. */
  stale: boolean;
  editable: boolean;
  box: (id: string, state: BoxState) => ReactNode;
  refusal: (from: string, to: string) => string | undefined;
  join: (from: string, to: string) => void;
  /** Boxes by id have other places. */
  move: (positions: ReadonlyMap<string, Position>, step: Position) => void;
  choose: (ids: readonly string[], opened: boolean) => void;
  chooseEdge: (edge: Edge) => void;
  remove: () => void;
  open: (id: string) => void;
  /** Something of the palette is dropped, maybe on an edge. */
  drop: (event: DragEvent, at: Position, on: Edge | undefined) => void;
  /** The search for what is added under the pointer. */
  search?: ((here: Here, close: () => void) => ReactNode) | undefined;
  /** Further buttons beside those of the view. */
  tools: ReactNode;
}

export function Canvas(props: CanvasProps) {
  const { placed, selected, edge, editable, ids, box, refusal } = props;
  const frame = useRef<HTMLDivElement>(null);
  const { view, pan, zoom, whole, touch } = useView(frame, placed, selected.at(-1));
  const [gesture, setGesture] = useState<Gesture>();
  const [joining, setJoining] = useState<string>();
  const shown = useMemo(() => moved(placed, gesture), [placed, gesture]);

  const join = (from: string, to: string) => {
    setJoining(undefined);
    props.join(from, to);
  };
  const place = (moving: readonly string[], dx: number, dy: number) => {
    const next = new Map<string, Position>();
    for (const id of moving) {
      const at = placed.at.get(id);
      if (at) next.set(id, { x: at.x + dx, y: at.y + dy });
    }
    props.move(next, { x: dx, y: dy });
  };
  const within = (event: { clientX: number; clientY: number }): Position => {
    const box = frame.current?.getBoundingClientRect();
    return {
      x: (event.clientX - (box?.left ?? 0) - view.x) / view.scale,
      y: (event.clientY - (box?.top ?? 0) - view.y) / view.scale,
    };
  };
  const { here, search, events, close } = useSearchHere(frame, editable && !!props.search, within);
  const begin = (event: PointerEvent, id: string | undefined, handle: boolean) => {
    if (event.button !== 0) return;
    touch();
    const target = frame.current as HTMLDivElement;
    target.setPointerCapture(event.pointerId);
    const start = { x: event.clientX, y: event.clientY };
    const moving = id && selected.includes(id) ? selected : id ? [id] : [];
    let last: Gesture | undefined;
    const move = (next: globalThis.PointerEvent) => {
      const [dx, dy] = [next.clientX - start.x, next.clientY - start.y];
      if (!last && Math.abs(dx) + Math.abs(dy) < DRAG_PX) return;
      if (!id) {
        pan(next.movementX, next.movementY);
        return;
      }
      if (handle) {
        const over = boxUnder(next);
        last = { kind: "edge", from: id, ...within(next), over };
      } else last = { kind: "move", ids: moving, dx: dx / view.scale, dy: dy / view.scale };
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
        else search(next, last.from);
      } else if (last) place(last.ids, last.dx, last.dy);
      else if (Math.abs(next.clientX - start.x) + Math.abs(next.clientY - start.y) < DRAG_PX) {
        if (id && joining) join(joining, id);
        else if (id && next.shiftKey) props.choose(toggled(selected, id), false);
        else props.choose(id ? [id] : [], !!id);
        if (id) focusBox(target, id);
      }
    };
    target.addEventListener("pointermove", move);
    target.addEventListener("pointerup", end);
    target.addEventListener("pointercancel", end);
  };
  // Boxes and lines are drawn anew only where they differ, so they get the same functions each time.
  const newest = useRef({ begin, chooseEdge: props.chooseEdge });
  newest.current = { begin, chooseEdge: props.chooseEdge };
  const beginNow = useCallback<BoxState["begin"]>((...of) => newest.current.begin(...of), []);
  const chooseNow = useCallback((chosen: Edge) => newest.current.chooseEdge(chosen), []);
  const keys = (event: KeyboardEvent) => {
    const id = (event.target as HTMLElement).dataset.task;
    const all: KeyMap<"builder"> = {
      Delete: props.remove,
      Backspace: props.remove,
      Escape: () => setJoining(undefined),
    };
    const acted = actOn(
      "builder",
      event,
      id ? { ...all, ...keysOf(id, event.currentTarget) } : all,
    );
    if (acted) event.stopPropagation();
  };
  /** The keys of a box. */
  const keysOf = (id: string, stage: Element): KeyMap<"builder"> => {
    const go = (step: Step) => {
      const next = neighbour(shown, id, step);
      if (next) focusBox(stage, next);
    };
    const nudge = ([dx, dy]: Step) =>
      place(selected.includes(id) ? selected : [id], dx * NUDGE, dy * NUDGE);
    return {
      ArrowLeft: () => go(LEFT),
      ArrowRight: () => go(RIGHT),
      ArrowUp: () => go(UP),
      ArrowDown: () => go(DOWN),
      "alt+ArrowLeft": () => nudge(LEFT),
      "alt+ArrowRight": () => nudge(RIGHT),
      "alt+ArrowUp": () => nudge(UP),
      "alt+ArrowDown": () => nudge(DOWN),
      Enter: () => (joining ? join(joining, id) : props.choose([id], true)),
      " ": () => props.choose(toggled(selected, id), false),
      c: () => setJoining(id),
      o: () => props.open(id),
    };
  };
  const drop = (event: DragEvent) => {
    const line = (event.target as Element).closest<SVGElement>("[data-edge]")?.dataset.edge;
    const [from, to] = line ? (JSON.parse(line) as [string, string]) : [];
    const at = within(event);
    const corner = { x: at.x - NODE.width / 2, y: at.y - NODE.height / 2 };
    props.drop(event, corner, from && to ? { from, to } : undefined);
  };
  const candidate = gesture?.kind === "edge" ? gesture.from : joining;
  // Where the canvas is moved or scaled alone, its boxes stay.
  const boxes = useMemo(
    () =>
      ids.map((id) =>
        box(id, {
          at: shown.at.get(id) ?? ORIGIN,
          selected: selected.includes(id),
          refused: candidate ? refusal(candidate, id) : undefined,
          target: !!candidate && candidate !== id,
          editable,
          begin: beginNow,
        }),
      ),
    [ids, box, shown, selected, candidate, refusal, editable, beginNow],
  );
  return (
    <div
      ref={frame}
      className={styles.stage}
      data-stale={props.stale || undefined}
      data-testid="stage"
      role="application"
      aria-label={props.label}
      onPointerDown={(event) => begin(event, undefined, false)}
      {...events}
      onKeyDown={keys}
      onDragOver={(event) => event.preventDefault()}
      onDrop={drop}
    >
      <div
        className={styles.plane}
        style={{ transform: `translate(${view.x}px, ${view.y}px) scale(${view.scale})` }}
      >
        <EdgeLines placed={shown} chosen={edge} editable={editable} choose={chooseNow} />
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
        {boxes}
      </div>
      {here && props.search?.(here, close)}
      {joining && (
        <p className={styles.hint} role="status">
          {say("builder.joining", { id: joining })}
        </p>
      )}
      <Minimap placed={shown} view={view} frame={frame} pan={pan} />
      <Tools zoom={zoom} whole={whole}>
        {props.tools}
      </Tools>
    </div>
  );
}

const ORIGIN: Position = { x: 0, y: 0 };
type Step = readonly [number, number];
const LEFT: Step = [-1, 0];
const RIGHT: Step = [1, 0];
const UP: Step = [0, -1];
const DOWN: Step = [0, 1];

function toggled(ids: readonly string[], id: string): string[] {
  return ids.includes(id) ? ids.filter((each) => each !== id) : [...ids, id];
}

function boxUnder(event: { clientX: number; clientY: number }): string | undefined {
  const found = document.elementFromPoint(event.clientX, event.clientY);
  return found?.closest<HTMLElement>("[data-task]")?.dataset.task;
}

function focusBox(frame: Element, id: string): void {
  frame.querySelector<HTMLElement>(`[data-task="${CSS.escape(id)}"]`)?.focus();
}

/** The places while boxes are dragged. */
function moved(placed: Placed, gesture: Gesture | undefined): Placed {
  if (gesture?.kind !== "move") return placed;
  const at = new Map(placed.at);
  for (const id of gesture.ids) {
    const from = placed.at.get(id);
    if (from) at.set(id, { x: from.x + gesture.dx, y: from.y + gesture.dy });
  }
  return { ...placed, at };
}

/** The nearest box in a direction. */
function neighbour(placed: Placed, id: string, [dx, dy]: Step): string | undefined {
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
