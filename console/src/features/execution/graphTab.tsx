import { Maximize, Minus, Plus } from "lucide-react";
import { type PointerEvent, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { paint, type Scene } from "@/canvas/graphPainter";
import { firstView, fit, nodeAt, type View } from "@/canvas/graphView";
import { useColours } from "@/canvas/palette";
import { useCanvas } from "@/canvas/surface";
import { Empty, IconButton, Skeleton } from "@/design/primitives";
import { useNow } from "@/design/useNow";
import { duration } from "@/model/durations";
import type { Graph } from "@/model/graph";
import { type Layout, layout } from "@/model/layout";
import { lookOf } from "@/model/status";
import { useExecution } from "./data";
import styles from "./graphTab.module.css";
import { GraphTree } from "./graphTree";

/** The graph of the workflow with the state of each task, and the same as a tree. */
export default function GraphTab() {
  const { graph } = useExecution();
  const placed = useMemo(
    () => graph && layout({ count: graph.nodes.length, edges: graph.edges }),
    [graph],
  );
  const [text, setText] = useState("");
  if (!graph || !placed) return <Skeleton />;
  if (graph.nodes.length === 0) return <Empty title="This workflow has no tasks" />;
  return (
    <div className={styles.graph}>
      <GraphTree graph={graph} rank={placed.rank} text={text} setText={setText} />
      <Canvas graph={graph} layout={placed} text={text} />
    </div>
  );
}

const ZOOM_MIN = 0.02;
const ZOOM_MAX = 2.5;
const DRAG_PX = 4;

function Canvas({ graph, layout, text }: { graph: Graph; layout: Layout; text: string }) {
  const data = useExecution();
  const { statusOf, node, select, version, at } = data;
  const canvas = useRef<HTMLCanvasElement>(null);
  const colours = useColours();
  const [view, setView] = useState<View>();
  const [hovered, setHovered] = useState<number>();
  const detailOf = useDetails();
  const shareOf = useShares();
  const selected = node === undefined ? undefined : graph.index.get(node);
  const fitAll = useCallback(() => {
    const element = canvas.current;
    if (element) setView(fit(layout, element.clientWidth, element.clientHeight));
  }, [layout]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: only another graph is shown anew
  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const first = selected ?? firstOpen(graph, statusOf) ?? 0;
    setView(firstView(layout, first, element.clientWidth, element.clientHeight));
  }, [layout]);
  const words = text.toLowerCase();
  // biome-ignore lint/correctness/useExhaustiveDependencies: version and moment stand for statuses
  const scene = useMemo<Scene | undefined>(
    () =>
      view && {
        graph,
        layout,
        view,
        colours,
        statusOf,
        detailOf,
        shareOf,
        selected,
        hovered,
        dimmed: (each) => {
          const found = graph.nodes[each];
          return !!words && !`${found?.id} ${found?.name}`.toLowerCase().includes(words);
        },
      },
    [graph, layout, view, colours, detailOf, shareOf, selected, hovered, words, version, at],
  );
  useCanvas(
    canvas,
    useCallback(
      (context, width, height) => {
        if (scene) paint(context, scene, width, height);
      },
      [scene],
    ),
  );
  const zoom = useCallback((factor: number, px?: number, py?: number) => {
    setView((before) => {
      const element = canvas.current;
      if (!before || !element) return before;
      const scale = Math.min(ZOOM_MAX, Math.max(ZOOM_MIN, before.scale * factor));
      const x = px ?? element.clientWidth / 2;
      const y = py ?? element.clientHeight / 2;
      const ratio = scale / before.scale;
      return { scale, x: x - (x - before.x) * ratio, y: y - (y - before.y) * ratio };
    });
  }, []);
  useWheel(canvas, zoom, setView);
  const pointer = useDrag(setView, {
    click: (x, y) => {
      const hit = scene && nodeAt(scene, x, y);
      select(hit === undefined ? undefined : graph.nodes[hit]?.id);
    },
    move: (x, y) => setHovered(scene && nodeAt(scene, x, y)),
  });
  return (
    <div className={styles.stage}>
      <canvas
        ref={canvas}
        {...pointer}
        className={styles.canvas}
        data-hit={hovered !== undefined || undefined}
        data-testid="graph"
        aria-hidden
      />
      <div className={styles.tools}>
        <IconButton label="Zoom in" onClick={() => zoom(1.3)}>
          <Plus size={15} />
        </IconButton>
        <IconButton label="Zoom out" onClick={() => zoom(1 / 1.3)}>
          <Minus size={15} />
        </IconButton>
        <IconButton label="Show the whole graph" onClick={fitAll}>
          <Maximize size={14} />
        </IconButton>
      </div>
    </div>
  );
}

/** The first node in rank order that is in progress or has failed. */
function firstOpen(graph: Graph, statusOf: (id: string) => string): number | undefined {
  const quiet = new Set(["success", "skipped", "pending", "canceled"]);
  const found = graph.nodes.findIndex((node) => !quiet.has(statusOf(node.id)));
  return found < 0 ? undefined : found;
}

/** Duration and attempts of a node in a line. */
function useDetails(): (id: string) => string {
  const { history, at, statusOf, execution, graph, progress } = useExecution();
  const running = at === undefined && execution?.status === "running";
  const now = useNow(running);
  return useMemo(
    () => (id: string) => {
      const track = history.nodes.get(id);
      const change = history.changeOf(id, at);
      const status = statusOf(id);
      if (!track || !change || status === "pending") {
        return graph?.nodes[graph.index.get(id) ?? -1]?.type ?? "";
      }
      if (status === "skipped") return lookOf(status).word;
      const begun = track.changes.find((each) => each.attempt > 0)?.at ?? change.at;
      const ended = status === "success" || status === "failed" || status === "canceled";
      const to = ended ? change.at : (history.eventAt(at)?.timestamp ?? "");
      const end = typeof to === "number" ? to : at === undefined ? now : Date.parse(to);
      const attempts = change.attempt > 1 ? ` · attempt ${change.attempt}` : "";
      const word = ended ? "" : `${lookOf(status).word} · `;
      const map = progress?.maps[id];
      const items = map ? ` · ${map.completed + map.failed} of ${map.total} items` : "";
      return `${word}${duration(end - begun)}${attempts}${items}`;
    },
    [history, at, statusOf, now, graph, progress],
  );
}

function useShares(): (id: string) => number | undefined {
  const { progress } = useExecution();
  const maps = progress?.maps;
  return useMemo(
    () => (id: string) => {
      const map = maps?.[id];
      if (!map || map.total === 0) return undefined;
      return (map.completed + map.failed) / map.total;
    },
    [maps],
  );
}

type SetView = (change: (before: View | undefined) => View | undefined) => void;

/** Zoom by pinch or with Ctrl, move by wheel or touchpad. */
function useWheel(
  canvas: React.RefObject<HTMLCanvasElement | null>,
  zoom: (factor: number, x: number, y: number) => void,
  setView: SetView,
): void {
  useEffect(() => {
    const element = canvas.current;
    const turn = (event: WheelEvent) => {
      event.preventDefault();
      const box = element?.getBoundingClientRect();
      if (event.ctrlKey || event.metaKey) {
        const [x, y] = [event.clientX - (box?.left ?? 0), event.clientY - (box?.top ?? 0)];
        zoom(Math.exp(-event.deltaY / 180), x, y);
        return;
      }
      setView(
        (before) => before && { ...before, x: before.x - event.deltaX, y: before.y - event.deltaY },
      );
    };
    element?.addEventListener("wheel", turn, { passive: false });
    return () => element?.removeEventListener("wheel", turn);
  }, [canvas, zoom, setView]);
}

interface Gestures {
  click: (x: number, y: number) => void;
  move: (x: number, y: number) => void;
}

function useDrag(setView: SetView, { click, move }: Gestures) {
  const last = useRef<{ x: number; y: number; moved: number }>(undefined);
  const within = (event: PointerEvent<HTMLCanvasElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top] as const;
  };
  return {
    onPointerDown: (event: PointerEvent<HTMLCanvasElement>) => {
      event.currentTarget.setPointerCapture(event.pointerId);
      last.current = { x: event.clientX, y: event.clientY, moved: 0 };
    },
    onPointerMove: (event: PointerEvent<HTMLCanvasElement>) => {
      const from = last.current;
      if (!from) {
        move(...within(event));
        return;
      }
      const [dx, dy] = [event.clientX - from.x, event.clientY - from.y];
      last.current = {
        x: event.clientX,
        y: event.clientY,
        moved: from.moved + Math.abs(dx) + Math.abs(dy),
      };
      setView((before) => before && { ...before, x: before.x + dx, y: before.y + dy });
    },
    onPointerUp: (event: PointerEvent<HTMLCanvasElement>) => {
      const from = last.current;
      last.current = undefined;
      if (from && from.moved < DRAG_PX) click(...within(event));
    },
    onPointerLeave: () => move(-1e9, -1e9),
  };
}
