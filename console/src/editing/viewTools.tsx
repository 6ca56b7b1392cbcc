import { Maximize, Minus, Plus } from "lucide-react";
import { memo, type PointerEvent, type ReactNode, type RefObject } from "react";
import { IconButton } from "@/design/primitives";
import { NODE_HEIGHT, NODE_WIDTH } from "@/model/layout";
import { say } from "@/model/messages";
import type { Placed } from "./placing";
import styles from "./stage.module.css";

interface ToolsProps {
  zoom: (factor: number) => void;
  whole: () => void;
  children: ReactNode;
}

/** The buttons of a canvas. */
export function Tools({ zoom, whole, children }: ToolsProps) {
  return (
    <div className={styles.tools} onPointerDown={(event) => event.stopPropagation()}>
      {children}
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
  );
}

const MAP = { width: 160, height: 96 };
const NODES_MAX = 2_000;

interface MinimapProps {
  placed: Placed;
  view: { x: number; y: number; scale: number };
  frame: RefObject<HTMLElement | null>;
  pan: (dx: number, dy: number) => void;
}

/** All boxes in small, where some are out of sight; a press brings its place to the middle. */
export function Minimap({ placed, view, frame, pan }: MinimapProps) {
  const element = frame.current;
  if (!element || placed.at.size > NODES_MAX) return null;
  const seen = {
    x: -view.x / view.scale,
    y: -view.y / view.scale,
    width: element.clientWidth / view.scale,
    height: element.clientHeight / view.scale,
  };
  const all =
    seen.x <= 0 &&
    seen.y <= 0 &&
    seen.x + seen.width >= placed.width &&
    seen.y + seen.height >= placed.height;
  if (all) return null;
  const scale = Math.min(MAP.width / placed.width, MAP.height / placed.height);
  const left = (MAP.width - placed.width * scale) / 2;
  const top = (MAP.height - placed.height * scale) / 2;
  const look = (event: PointerEvent<SVGSVGElement>) => {
    event.stopPropagation();
    if (event.buttons !== 1) return;
    const box = event.currentTarget.getBoundingClientRect();
    const x = (event.clientX - box.left - left) / scale - seen.width / 2;
    const y = (event.clientY - box.top - top) / scale - seen.height / 2;
    pan((seen.x - x) * view.scale, (seen.y - y) * view.scale);
  };
  return (
    // Keys have the boxes themselves, and the button that shows all.
    <svg
      className={styles.minimap}
      {...MAP}
      aria-hidden
      data-testid="minimap"
      onPointerDown={look}
      onPointerMove={look}
    >
      <title>{say("builder.map")}</title>
      <g transform={`translate(${left} ${top})`}>
        <Boxes placed={placed} scale={scale} />
        <rect
          className={styles.seen}
          x={seen.x * scale}
          y={seen.y * scale}
          width={seen.width * scale}
          height={seen.height * scale}
        />
      </g>
    </svg>
  );
}

const Boxes = memo(function Boxes({ placed, scale }: { placed: Placed; scale: number }) {
  return [...placed.at].map(([id, { x, y }]) => (
    <rect
      key={id}
      x={x * scale}
      y={y * scale}
      width={Math.max(2, NODE_WIDTH * scale)}
      height={Math.max(1, NODE_HEIGHT * scale)}
    />
  ));
});
