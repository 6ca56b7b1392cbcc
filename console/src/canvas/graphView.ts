/** The part of a graph that is seen, and the node at a point of it. */

import type { Graph } from "@/model/graph";
import { type Layout, NODE_HEIGHT, NODE_WIDTH } from "@/model/layout";

export interface View {
  x: number;
  y: number;
  scale: number;
}

/** The node at a point of the canvas. */
export function nodeAt(
  scene: { graph: Graph; layout: Layout; view: View },
  px: number,
  py: number,
): number | undefined {
  const x = (px - scene.view.x) / scene.view.scale;
  const y = (py - scene.view.y) / scene.view.scale;
  for (let node = 0; node < scene.graph.nodes.length; node += 1) {
    const [left, top] = [scene.layout.x[node] as number, scene.layout.y[node] as number];
    if (x >= left && x <= left + NODE_WIDTH && y >= top && y <= top + NODE_HEIGHT) return node;
  }
  return undefined;
}

const MARGIN = 40;

/** The view in which the whole graph is seen, not larger than life. */
export function fit(layout: Layout, width: number, height: number): View {
  const wide = (width - 2 * MARGIN) / Math.max(1, layout.width);
  const high = (height - 2 * MARGIN) / Math.max(1, layout.height);
  const scale = Math.max(0.02, Math.min(1, wide, high));
  return {
    scale,
    x: (width - layout.width * scale) / 2,
    y: (height - layout.height * scale) / 2,
  };
}

/** Below this scale the first view shows a part of the graph, in which names can be read. */
const READABLE = 0.3;

/** The first view: all of it if names can be read then, or else the part around a node. */
export function firstView(layout: Layout, node: number, width: number, height: number): View {
  const whole = fit(layout, width, height);
  if (whole.scale >= READABLE) return whole;
  const scale = READABLE;
  const centred = (place: number, length: number, room: number) => {
    if (length * scale <= room - 2 * MARGIN) return (room - length * scale) / 2;
    const wanted = room / 2 - place * scale;
    return Math.min(MARGIN, Math.max(room - length * scale - MARGIN, wanted));
  };
  return {
    scale,
    x: centred((layout.x[node] ?? 0) + NODE_WIDTH / 2, layout.width, width),
    y: centred((layout.y[node] ?? 0) + NODE_HEIGHT / 2, layout.height, height),
  };
}
