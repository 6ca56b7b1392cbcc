/** The graph of a workflow as arrays, for layout and drawing. */

import type { AnalysisAnswer } from "@/api/schema";

export interface GraphNode {
  id: string;
  name: string;
  type: string;
  isMap: boolean;
}

export interface GraphEdge {
  from: number;
  to: number;
  label: string;
  onFailure: boolean;
}

export interface Graph {
  nodes: GraphNode[];
  edges: GraphEdge[];
  index: Map<string, number>;
}

export function graphOf(analysis: AnalysisAnswer): Graph {
  const maps = analysis.maps ?? {};
  const nodes = Object.values(analysis.nodes).map((node) => ({
    id: node.id,
    name: node.name,
    type: node.type,
    isMap: node.id in maps,
  }));
  const index = new Map(nodes.map((node, place) => [node.id, place]));
  const edges: GraphEdge[] = [];
  for (const edge of Object.values(analysis.edges)) {
    const from = index.get(edge.source);
    const to = index.get(edge.target);
    if (from === undefined || to === undefined) continue;
    edges.push({ from, to, label: edge.condition ?? "", onFailure: edge.onFailure ?? false });
  }
  return { nodes, edges, index };
}

export function successors(graph: Graph, node: number): number[] {
  return graph.edges.filter((edge) => edge.from === node).map((edge) => edge.to);
}

export function dependencies(graph: Graph, node: number): number[] {
  return graph.edges.filter((edge) => edge.to === node).map((edge) => edge.from);
}

/** The nodes and edges of two graphs; those of both count once. */
export function merged(left: Graph, right: Graph): Graph {
  const nodes = [...left.nodes, ...right.nodes.filter((node) => !left.index.has(node.id))];
  const index = new Map(nodes.map((node, place) => [node.id, place]));
  const edges = new Map<string, GraphEdge>();
  for (const graph of [left, right]) {
    for (const edge of graph.edges) {
      const from = index.get(graph.nodes[edge.from]?.id ?? "");
      const to = index.get(graph.nodes[edge.to]?.id ?? "");
      if (from === undefined || to === undefined) continue;
      edges.set(`${from} ${to}`, { ...edge, from, to });
    }
  }
  return { nodes, edges: [...edges.values()], index };
}
