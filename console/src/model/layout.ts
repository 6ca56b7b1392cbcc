/**
 * A layered layout from left to right: ranks by longest path, order by barycentres, places by
 * relaxation. Edges over several ranks bend at places of their own, so they pass beside nodes.
 */

export interface LayoutInput {
  count: number;
  edges: readonly { from: number; to: number }[];
}

export interface Layout {
  x: Float32Array;
  y: Float32Array;
  rank: Int32Array;
  /** For each edge the y at every rank between its ends. */
  bends: Float32Array[];
  width: number;
  height: number;
}

export const NODE_WIDTH = 172;
export const NODE_HEIGHT = 44;
const RANK_GAP = 56;
const NODE_GAP = 20;
const BEND_GAP = 12;
const ORDER_SWEEPS = 6;
const PLACE_SWEEPS = 10;
/** Above this, long edges are drawn straight. */
const BENDS_MAX = 30_000;

interface Layered {
  /** Vertices by rank: nodes, then bends. */
  layers: number[][];
  before: number[][];
  after: number[][];
  isBend: (vertex: number) => boolean;
  bendsOf: number[][];
}

export function layout(input: LayoutInput): Layout {
  const rank = ranks(input);
  const layered = layersOf(input, rank);
  order(layered);
  const y = places(layered);
  const x = Float32Array.from(rank, (each) => each * (NODE_WIDTH + RANK_GAP));
  let lowest = 0;
  let highest = 0;
  for (let node = 0; node < input.count; node += 1) {
    lowest = Math.min(lowest, y[node] as number);
    highest = Math.max(highest, (y[node] as number) + NODE_HEIGHT);
  }
  for (let vertex = 0; vertex < y.length; vertex += 1) y[vertex] = (y[vertex] as number) - lowest;
  const last = rank.reduce((most, each) => Math.max(most, each), 0);
  return {
    x,
    y: y.slice(0, input.count),
    rank,
    bends: layered.bendsOf.map((bends) => Float32Array.from(bends, (bend) => y[bend] as number)),
    width: last * (NODE_WIDTH + RANK_GAP) + NODE_WIDTH,
    height: highest - lowest,
  };
}

/** The longest path to each node; edges that close a circle are left out. */
export function ranks({ count, edges }: LayoutInput): Int32Array {
  const out: number[][] = Array.from({ length: count }, () => []);
  for (const { from, to } of edges) if (from !== to) (out[from] as number[]).push(to);
  const back = backEdges(count, out);
  const degree = new Int32Array(count);
  for (const { from, to } of edges) {
    if (from !== to && !back.has(from * count + to)) degree[to] = (degree[to] as number) + 1;
  }
  const rank = new Int32Array(count);
  const ready: number[] = [];
  for (let node = 0; node < count; node += 1) if (degree[node] === 0) ready.push(node);
  for (let place = 0; place < ready.length; place += 1) {
    const node = ready[place] as number;
    for (const next of out[node] as number[]) {
      if (back.has(node * count + next)) continue;
      rank[next] = Math.max(rank[next] as number, (rank[node] as number) + 1);
      degree[next] = (degree[next] as number) - 1;
      if (degree[next] === 0) ready.push(next);
    }
  }
  return rank;
}

/** Edges to a node that is being visited, depth first without recursion. */
function backEdges(count: number, out: number[][]): Set<number> {
  const back = new Set<number>();
  const colour = new Uint8Array(count);
  const next = new Int32Array(count);
  for (let root = 0; root < count; root += 1) {
    if (colour[root] !== 0) continue;
    const stack = [root];
    colour[root] = 1;
    while (stack.length > 0) {
      const node = stack.at(-1) as number;
      const target = (out[node] as number[])[next[node] as number];
      if (target === undefined) {
        colour[node] = 2;
        stack.pop();
        continue;
      }
      next[node] = (next[node] as number) + 1;
      if (colour[target] === 1) back.add(node * count + target);
      if (colour[target] !== 0) continue;
      colour[target] = 1;
      stack.push(target);
    }
  }
  return back;
}

function layersOf({ count, edges }: LayoutInput, rank: Int32Array): Layered {
  const span = edges.reduce((sum, { from, to }) => sum + between(rank, from, to), 0);
  const vertices = count + (span <= BENDS_MAX ? span : 0);
  const before: number[][] = Array.from({ length: vertices }, () => []);
  const after: number[][] = Array.from({ length: vertices }, () => []);
  const deepest = rank.reduce((most, each) => Math.max(most, each), 0);
  const layers: number[][] = Array.from({ length: deepest + 1 }, () => []);
  for (let node = 0; node < count; node += 1) (layers[rank[node] as number] as number[]).push(node);
  const link = (from: number, to: number) => {
    (after[from] as number[]).push(to);
    (before[to] as number[]).push(from);
  };
  let free = count;
  const bendsOf = edges.map(({ from, to }) => {
    const bends: number[] = [];
    if ((rank[to] as number) <= (rank[from] as number)) return bends;
    let last = from;
    const steps = span <= BENDS_MAX ? between(rank, from, to) : 0;
    for (let step = 1; step <= steps; step += 1) {
      (layers[(rank[from] as number) + step] as number[]).push(free);
      link(last, free);
      bends.push(free);
      last = free;
      free += 1;
    }
    link(last, to);
    return bends;
  });
  return { layers, before, after, isBend: (vertex) => vertex >= count, bendsOf };
}

function between(rank: Int32Array, from: number, to: number): number {
  return Math.max(0, (rank[to] as number) - (rank[from] as number) - 1);
}

/** Sort each layer by the mean place of its neighbours, to and fro. */
function order({ layers, before, after }: Layered): void {
  const place = new Float64Array(before.length);
  const note = (layer: number[]) => {
    for (let index = 0; index < layer.length; index += 1) place[layer[index] as number] = index;
  };
  for (const layer of layers) note(layer);
  for (let sweep = 0; sweep < ORDER_SWEEPS; sweep += 1) {
    const down = sweep % 2 === 0;
    const neighbours = down ? before : after;
    for (const layer of down ? layers : [...layers].reverse()) {
      const key = new Map(
        layer.map((vertex) => [
          vertex,
          mean(neighbours[vertex] as number[], place) ?? (place[vertex] as number),
        ]),
      );
      layer.sort((left, right) => (key.get(left) as number) - (key.get(right) as number));
      note(layer);
    }
  }
}

function mean(vertices: number[], values: Float64Array | Float32Array): number | undefined {
  if (vertices.length === 0) return undefined;
  let sum = 0;
  for (const vertex of vertices) sum += values[vertex] as number;
  return sum / vertices.length;
}

/** Pull each vertex towards its neighbours and keep the distances within its layer. */
function places({ layers, before, after, isBend }: Layered): Float32Array {
  const y = new Float32Array(before.length);
  const size = (vertex: number) => (isBend(vertex) ? BEND_GAP : NODE_HEIGHT + NODE_GAP);
  for (const layer of layers) {
    const total = layer.reduce((sum, vertex) => sum + size(vertex), 0);
    let at = -total / 2;
    for (const vertex of layer) {
      y[vertex] = at;
      at += size(vertex);
    }
  }
  for (let sweep = 0; sweep < PLACE_SWEEPS; sweep += 1) {
    const down = sweep % 2 === 0;
    for (const layer of down ? layers : [...layers].reverse()) {
      const wanted = layer.map((vertex) => {
        const near = down ? (before[vertex] as number[]) : (after[vertex] as number[]);
        return mean(near, y) ?? (y[vertex] as number);
      });
      settle(layer, wanted, size, y);
    }
  }
  return y;
}

/** Place a layer as close to what is wanted as the order and the sizes permit. */
function settle(
  layer: number[],
  wanted: number[],
  size: (vertex: number) => number,
  y: Float32Array,
): void {
  // Blocks of vertices that touch, each at the mean of what its members want.
  const blocks: { sum: number; count: number; length: number; members: number[] }[] = [];
  layer.forEach((vertex, index) => {
    let block = { sum: wanted[index] as number, count: 1, length: size(vertex), members: [vertex] };
    for (let last = blocks.at(-1); last; last = blocks.at(-1)) {
      if (last.sum / last.count + last.length <= block.sum / block.count) break;
      blocks.pop();
      block = {
        sum: last.sum + block.sum - block.count * last.length,
        count: last.count + block.count,
        length: last.length + block.length,
        members: last.members.concat(block.members),
      };
    }
    blocks.push(block);
  });
  for (const block of blocks) {
    let at = block.sum / block.count;
    for (const vertex of block.members) {
      y[vertex] = at;
      at += size(vertex);
    }
  }
}
