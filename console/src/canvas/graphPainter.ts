/** Paints a graph with the statuses of its nodes; detail grows with the scale. */

import type { Graph } from "@/model/graph";
import { type Layout, NODE_HEIGHT, NODE_WIDTH } from "@/model/layout";
import { lookOf, type NodeStatus } from "@/model/status";
import type { View } from "./graphView";
import { breakpoint, fitted, glyph, halves, kindMark } from "./marks";
import type { Colours } from "./palette";

export interface Scene {
  graph: Graph;
  layout: Layout;
  view: View;
  colours: Colours;
  statusOf: (id: string) => NodeStatus;
  /** The status in the other of two compared executions. */
  otherOf?: ((id: string) => NodeStatus) | undefined;
  /** Whether a breakpoint stands before the node. */
  stopsAt?: ((id: string) => boolean) | undefined;
  /** A line below the name, such as the duration. */
  detailOf: (id: string) => string;
  /** The completed share of a map, if the node is one. */
  shareOf: (id: string) => number | undefined;
  selected: number | undefined;
  hovered: number | undefined;
  /** Nodes that do not match are dimmed. */
  dimmed: (node: number) => boolean;
}

const NAMES_FROM = 0.3;
const DETAILS_FROM = 0.75;
const RADIUS = 6;

export function paint(
  context: CanvasRenderingContext2D,
  scene: Scene,
  width: number,
  height: number,
): void {
  const { view } = scene;
  context.save();
  context.translate(view.x, view.y);
  context.scale(view.scale, view.scale);
  const box = {
    left: -view.x / view.scale,
    top: -view.y / view.scale,
    right: (width - view.x) / view.scale,
    bottom: (height - view.y) / view.scale,
  };
  paintEdges(context, scene, box);
  const { x, y } = scene.layout;
  for (let node = 0; node < scene.graph.nodes.length; node += 1) {
    const [left, top] = [x[node] as number, y[node] as number];
    if (left > box.right || left + NODE_WIDTH < box.left) continue;
    if (top > box.bottom || top + NODE_HEIGHT < box.top) continue;
    paintNode(context, scene, node, left, top);
  }
  context.restore();
}

interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

function paintEdges(context: CanvasRenderingContext2D, scene: Scene, box: Box): void {
  const { graph, layout, colours, statusOf, selected, view } = scene;
  graph.edges.forEach((edge, index) => {
    const left = layout.x[edge.from] as number;
    const right = (layout.x[edge.to] as number) + NODE_WIDTH;
    if (Math.min(left, right) > box.right || Math.max(left, right) < box.left) return;
    const from = statusOf((graph.nodes[edge.from] as { id: string }).id);
    const to = statusOf((graph.nodes[edge.to] as { id: string }).id);
    const near = selected === edge.from || selected === edge.to;
    const taken = (from === "success" || from === "failed") && to !== "pending" && to !== "skipped";
    context.beginPath();
    trace(context, layout, edge.from, edge.to, layout.bends[index] as Float32Array);
    context.globalAlpha = scene.dimmed(edge.from) && scene.dimmed(edge.to) ? 0.2 : 1;
    context.strokeStyle = near ? colours.accent : colours.lineStrong;
    context.lineWidth = near || taken ? 1.8 : 1.1;
    context.setLineDash(edge.onFailure ? [2, 4] : to === "skipped" ? [5, 5] : []);
    context.stroke();
    context.setLineDash([]);
    if (view.scale >= NAMES_FROM) arrow(context, layout, edge.to);
    if (edge.label && view.scale >= DETAILS_FROM)
      label(context, scene, edge.from, edge.to, edge.label);
    context.globalAlpha = 1;
  });
}

function trace(
  context: CanvasRenderingContext2D,
  layout: Layout,
  from: number,
  to: number,
  bends: Float32Array,
): void {
  let x = (layout.x[from] as number) + NODE_WIDTH;
  let y = (layout.y[from] as number) + NODE_HEIGHT / 2;
  const endX = (layout.x[to] as number) - 5;
  const endY = (layout.y[to] as number) + NODE_HEIGHT / 2;
  context.moveTo(x, y);
  const step = bends.length > 0 ? (endX - x) / (bends.length + 1) : 0;
  for (let index = 0; index < bends.length; index += 1) {
    const nextY = (bends[index] as number) + 6;
    const nextX = x + step;
    context.bezierCurveTo((x + nextX) / 2, y, (x + nextX) / 2, nextY, nextX, nextY);
    x = nextX;
    y = nextY;
  }
  if (endX > x) context.bezierCurveTo((x + endX) / 2, y, (x + endX) / 2, endY, endX, endY);
  else context.bezierCurveTo(x + 60, y + 70, endX - 60, endY + 70, endX, endY);
}

function arrow(context: CanvasRenderingContext2D, layout: Layout, to: number): void {
  const x = (layout.x[to] as number) - 1;
  const y = (layout.y[to] as number) + NODE_HEIGHT / 2;
  context.beginPath();
  context.moveTo(x - 6, y - 4);
  context.lineTo(x, y);
  context.lineTo(x - 6, y + 4);
  context.stroke();
}

function label(
  context: CanvasRenderingContext2D,
  scene: Scene,
  from: number,
  to: number,
  text: string,
): void {
  const { layout, colours } = scene;
  const gap = (layout.x[to] as number) - (layout.x[from] as number) - NODE_WIDTH;
  const x = (layout.x[to] as number) - gap / 2;
  const y = ((layout.y[from] as number) + (layout.y[to] as number) + NODE_HEIGHT) / 2;
  context.font = "500 10px 'Inter Variable'";
  const shown = fitted(context, text, Math.max(44, gap - 8));
  const width = context.measureText(shown).width + 8;
  context.fillStyle = colours.frame;
  context.fillRect(x - width / 2, y - 8, width, 15);
  context.fillStyle = colours.muted;
  context.textAlign = "center";
  context.fillText(shown, x, y + 3);
  context.textAlign = "start";
}

function paintNode(
  context: CanvasRenderingContext2D,
  scene: Scene,
  node: number,
  x: number,
  y: number,
): void {
  const { graph, colours, view, selected, hovered } = scene;
  const { id, name, type, isMap } = graph.nodes[node] as Graph["nodes"][number];
  const status = scene.statusOf(id);
  const look = lookOf(status);
  const colour = colours.family[look.family];
  context.globalAlpha = scene.dimmed(node) ? 0.28 : 1;
  const quiet = status === "pending" || status === "skipped" || status === "defined";
  if (isMap) {
    outline(context, x + 4, y - 4);
    context.fillStyle = colours.surface;
    context.fill();
    context.strokeStyle = colours.line;
    context.stroke();
  }
  outline(context, x, y);
  context.fillStyle = colours.surface;
  context.fill();
  context.globalAlpha *= quiet ? 0.04 : 0.12;
  context.fillStyle = colour;
  context.fill();
  context.globalAlpha = scene.dimmed(node) ? 0.28 : 1;
  context.strokeStyle = quiet ? colours.lineStrong : colour;
  context.lineWidth = look.family === "failed" ? 2.4 : 1.4;
  context.setLineDash(border(status));
  context.stroke();
  context.setLineDash([]);
  if (selected === node || hovered === node) {
    context.beginPath();
    context.roundRect(x - 3.5, y - 3.5, NODE_WIDTH + 7, NODE_HEIGHT + 7, RADIUS + 3);
    context.strokeStyle = selected === node ? colours.accent : colours.lineStrong;
    context.lineWidth = selected === node ? 2 : 1;
    context.stroke();
  }
  bar(context, scene, id, x, y, colour);
  if (scene.stopsAt?.(id)) breakpoint(context, colours, x, y);
  if (view.scale >= NAMES_FROM) write(context, scene, { x, y, name, id, type, status, colour });
  context.globalAlpha = 1;
}

function outline(context: CanvasRenderingContext2D, x: number, y: number): void {
  context.beginPath();
  context.roundRect(x, y, NODE_WIDTH, NODE_HEIGHT, RADIUS);
}

function border(status: NodeStatus): number[] {
  if (status === "pending") return [2, 3];
  if (status === "skipped") return [6, 4];
  return status === "retrying" || status === "onHold" || status === "asking" ? [9, 3] : [];
}

function bar(
  context: CanvasRenderingContext2D,
  scene: Scene,
  id: string,
  x: number,
  y: number,
  colour: string,
): void {
  const share = scene.shareOf(id);
  if (share === undefined) return;
  context.fillStyle = scene.colours.line;
  context.fillRect(x + 1, y + NODE_HEIGHT - 4, NODE_WIDTH - 2, 3);
  context.fillStyle = colour;
  context.fillRect(x + 1, y + NODE_HEIGHT - 4, (NODE_WIDTH - 2) * share, 3);
}

interface Written {
  x: number;
  y: number;
  name: string;
  id: string;
  type: string;
  status: NodeStatus;
  colour: string;
}

function write(context: CanvasRenderingContext2D, scene: Scene, node: Written): void {
  const { colours, view } = scene;
  const { x, y } = node;
  const details = view.scale >= DETAILS_FROM;
  const other = scene.otherOf?.(node.id);
  const kindAtStart = node.status === "defined";
  if (kindAtStart && kindMark(context, node.type, x + 11, y + NODE_HEIGHT / 2 - 7, node.colour)) {
    // The mark of the kind stands where that of a status would.
  } else if (other === undefined) {
    glyph(context, lookOf(node.status).glyph, x + 11, y + NODE_HEIGHT / 2 - 7, node.colour);
  } else {
    halves(context, node.colour, colours.family[lookOf(other).family], x + 18, y);
  }
  context.fillStyle = node.status === "skipped" ? colours.muted : colours.text;
  // Names keep a size that can be read when the graph is small.
  const size = details ? 12 : Math.min(22, 9.5 / view.scale);
  const kind =
    details &&
    !kindAtStart &&
    kindMark(context, node.type, x + NODE_WIDTH - 23, y + 15, colours.muted);
  const room = NODE_WIDTH - (kind ? 60 : 44);
  context.font = `500 ${size}px 'Inter Variable'`;
  const baseline = details ? 19 : NODE_HEIGHT / 2 + size * 0.36;
  context.fillText(fitted(context, node.name, room), x + 33, y + baseline);
  if (!details) return;
  context.fillStyle = colours.muted;
  context.font = "400 10.5px 'Inter Variable'";
  context.fillText(
    fitted(context, scene.detailOf(node.id), NODE_WIDTH - 44, "end"),
    x + 33,
    y + 34,
  );
}
