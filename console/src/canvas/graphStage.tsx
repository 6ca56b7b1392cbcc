/** The graph of a workflow on a canvas, zoomed and moved by pointer, wheel and buttons. */

import { Maximize, Minus, Plus } from "lucide-react";
import { type PointerEvent, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { IconButton } from "@/design/primitives";
import type { Graph } from "@/model/graph";
import { type Layout, layout } from "@/model/layout";
import { say } from "@/model/messages";
import type { NodeStatus } from "@/model/status";
import { paint, type Scene } from "./graphPainter";
import styles from "./graphStage.module.css";
import { GraphTree } from "./graphTree";
import { firstView, fit, nodeAt, type View } from "./graphView";
import { useColours } from "./palette";
import { useCanvas } from "./surface";

/** All that is drawn of a graph, and the selection that its pictures share. */
export interface GraphSource {
  graph: Graph;
  statusOf: (id: string) => NodeStatus;
  /** The status in the other of two compared executions. */
  otherOf?: ((id: string) => NodeStatus) | undefined;
  /** A line below the name, such as the duration. */
  detailOf: (id: string) => string;
  /** The completed share of a map, if the node is one. */
  shareOf: (id: string) => number | undefined;
  /** Whether a breakpoint stands before the node. */
  stopsAt?: ((id: string) => boolean) | undefined;
  /** Whether the node is of no interest now. */
  quiet?: ((id: string) => boolean) | undefined;
  /** The status of a node in words; its own word if left out. */
  wordOf?: ((id: string) => string) | undefined;
  selected: string | undefined;
  select: (id: string | undefined) => void;
  /** Changes with the statuses. */
  version: string | number;
}

interface PaneProps {
  source: GraphSource;
  /** Whether the pane is a part of a page that scrolls: the wheel moves the page then. */
  embedded?: boolean;
}

/** The graph, and the same as a tree. */
export function GraphPane({ source, embedded = false }: PaneProps) {
  const { graph } = source;
  const placed = useMemo(() => layout({ count: graph.nodes.length, edges: graph.edges }), [graph]);
  const [text, setText] = useState("");
  return (
    <div className={styles.graph}>
      <GraphTree source={source} rank={placed.rank} text={text} setText={setText} />
      <Stage source={source} layout={placed} text={text} embedded={embedded} />
    </div>
  );
}

const ZOOM_MIN = 0.02;
const ZOOM_MAX = 2.5;
const DRAG_PX = 4;

interface StageProps {
  source: GraphSource;
  layout: Layout;
  text: string;
  embedded: boolean;
}

function Stage({ source, layout, text, embedded }: StageProps) {
  const { graph, statusOf, selected, select } = source;
  const canvas = useRef<HTMLCanvasElement>(null);
  const [view, setView] = useState<View>();
  const [hovered, setHovered] = useState<number>();
  const chosen = selected === undefined ? undefined : graph.index.get(selected);
  const fitAll = useCallback(() => {
    const element = canvas.current;
    if (element) setView(fit(layout, element.clientWidth, element.clientHeight));
  }, [layout]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: only another graph is shown anew
  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const first = chosen ?? firstOpen(graph, statusOf) ?? 0;
    setView(firstView(layout, first, element.clientWidth, element.clientHeight));
  }, [layout]);
  const scene = useScene({ source, layout, view, chosen, hovered, text });
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
  useWheel(canvas, zoom, embedded ? undefined : setView);
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
        <IconButton label={say("graph.zoomIn")} onClick={() => zoom(1.3)}>
          <Plus size={15} />
        </IconButton>
        <IconButton label={say("graph.zoomOut")} onClick={() => zoom(1 / 1.3)}>
          <Minus size={15} />
        </IconButton>
        <IconButton label={say("graph.whole")} onClick={fitAll}>
          <Maximize size={14} />
        </IconButton>
      </div>
    </div>
  );
}

interface Seen {
  source: GraphSource;
  layout: Layout;
  view: View | undefined;
  chosen: number | undefined;
  hovered: number | undefined;
  text: string;
}

function useScene({ source, layout, view, chosen, hovered, text }: Seen): Scene | undefined {
  const colours = useColours();
  const { graph, detailOf, shareOf, version } = source;
  const words = text.toLowerCase();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the version stands for statuses
  return useMemo(
    () =>
      view && {
        ...source,
        layout,
        view,
        colours,
        selected: chosen,
        hovered,
        dimmed: (each) => {
          const found = graph.nodes[each];
          if (found && source.quiet?.(found.id)) return true;
          return !!words && !`${found?.id} ${found?.name}`.toLowerCase().includes(words);
        },
      },
    [graph, layout, view, colours, detailOf, shareOf, chosen, hovered, words, version],
  );
}

/** The first node in rank order that is in progress or has failed. */
function firstOpen(graph: Graph, statusOf: (id: string) => string): number | undefined {
  const quiet = new Set(["success", "skipped", "pending", "canceled", "defined"]);
  const found = graph.nodes.findIndex((node) => !quiet.has(statusOf(node.id)));
  return found < 0 ? undefined : found;
}

type SetView = (change: (before: View | undefined) => View | undefined) => void;

/** Zoom by pinch or with Ctrl; move by wheel or touchpad, unless the page is to scroll. */
function useWheel(
  canvas: React.RefObject<HTMLCanvasElement | null>,
  zoom: (factor: number, x: number, y: number) => void,
  setView: SetView | undefined,
): void {
  useEffect(() => {
    const element = canvas.current;
    const turn = (event: WheelEvent) => {
      const scales = event.ctrlKey || event.metaKey;
      if (!scales && !setView) return;
      event.preventDefault();
      const box = element?.getBoundingClientRect();
      if (scales) {
        const [x, y] = [event.clientX - (box?.left ?? 0), event.clientY - (box?.top ?? 0)];
        zoom(Math.exp(-event.deltaY / 180), x, y);
        return;
      }
      setView?.(
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
