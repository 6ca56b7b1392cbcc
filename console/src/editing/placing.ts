/** Where the tasks of a list stand: where they were moved to, or else by the layered layout. */

import { layout, NODE_HEIGHT, NODE_WIDTH } from "@/model/layout";
import type { Joined, Position } from "@/text/workflow";

export interface DrawnEdge {
  from: string;
  to: string;
  /** The outcome or label it is taken for. */
  label: string;
  /** Whether it follows of a template alone, so that it is no member of the text. */
  implied: boolean;
  /** The value that went over it in a run. */
  value?: string | undefined;
  /** What the line is, for its look. */
  kind?: string | undefined;
}

export interface Placed {
  at: ReadonlyMap<string, Position>;
  edges: readonly DrawnEdge[];
  /** Lines back below the boxes: the way of a saga. */
  undone?: readonly DrawnEdge[] | undefined;
  rank: ReadonlyMap<string, number>;
  width: number;
  height: number;
}

export function edgesOf(tasks: readonly Joined[]): DrawnEdge[] {
  const ids = new Set(tasks.map((each) => each.id));
  return tasks.flatMap((task) => [
    ...task.after
      .filter((each) => ids.has(each.task))
      .map((each) => ({ from: each.task, to: task.id, label: each.on ?? "", implied: false })),
    ...task.uses.map((from) => ({ from, to: task.id, label: "", implied: true })),
  ]);
}

/** The line back below the tasks. */
export function curveBack(from: Position, to: Position): string {
  const [x, y] = [from.x + NODE_WIDTH / 2, from.y + NODE_HEIGHT];
  const [endX, endY] = [to.x + NODE_WIDTH / 2, to.y + NODE_HEIGHT];
  const low = Math.max(y, endY) + 46;
  return `M${x},${y} C${x},${low} ${endX},${low} ${endX},${endY}`;
}

export function placedOf(
  tasks: readonly Joined[],
  positions: ReadonlyMap<string, Position>,
): Placed {
  const index = new Map(tasks.map((each, place) => [each.id, place]));
  const edges = edgesOf(tasks);
  const found = layout({
    count: tasks.length,
    edges: edges.map(({ from, to }) => ({
      from: index.get(from) as number,
      to: index.get(to) as number,
    })),
  });
  const at = new Map<string, Position>();
  const rank = new Map<string, number>();
  let [width, height] = [NODE_WIDTH, NODE_HEIGHT];
  tasks.forEach((task, place) => {
    const laid = { x: found.x[place] ?? 0, y: found.y[place] ?? 0 };
    const position = positions.get(task.id) ?? laid;
    at.set(task.id, position);
    rank.set(task.id, found.rank[place] ?? 0);
    width = Math.max(width, position.x + NODE_WIDTH);
    height = Math.max(height, position.y + NODE_HEIGHT);
  });
  return { at, edges, rank, width, height };
}

const BELOW_MAX = 2 * NODE_HEIGHT;
const ARC = 40;

/** The line from the right of a box to the left of another one; within a column, beside it. */
export function curve(from: Position, to: Position): string {
  if (Math.abs(to.x - from.x) < NODE_WIDTH / 2) return beside(from, to);
  const [x, y] = [from.x + NODE_WIDTH, from.y + NODE_HEIGHT / 2];
  const [endX, endY] = [to.x - 2, to.y + NODE_HEIGHT / 2];
  const reach = Math.max(36, Math.abs(endX - x) / 2);
  return `M${x},${y} C${x + reach},${y} ${endX - reach},${endY} ${endX},${endY}`;
}

function beside(from: Position, to: Position): string {
  const below = to.y - from.y;
  if (below > 0 && below <= BELOW_MAX) {
    const [x, endX] = [from.x + NODE_WIDTH / 2, to.x + NODE_WIDTH / 2];
    return `M${x},${from.y + NODE_HEIGHT} L${endX},${to.y}`;
  }
  const [x, y] = [from.x + NODE_WIDTH, from.y + NODE_HEIGHT / 2];
  const [endX, endY] = [to.x + NODE_WIDTH, to.y + NODE_HEIGHT / 2];
  const out = Math.max(x, endX) + ARC + Math.abs(below) / 8;
  return `M${x},${y} C${out},${y} ${out},${endY} ${endX},${endY}`;
}
