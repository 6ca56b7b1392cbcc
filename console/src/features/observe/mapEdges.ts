/** The nodes and the edges of the map of services, and the series behind an edge. */

import type { ServiceCallsValue, ServiceMapValue } from "@/api/schema";
import { count } from "@/model/durations";
import type { Chosen } from "./span";

export type NodeKind = "clients" | "service" | "worker" | "queue" | "consumers" | "application";

export interface MapNode {
  key: string;
  /** Empty for clients. */
  name: string;
  kind: NodeKind;
  /** Calls of the node, if it is a called one. */
  called?: ServiceCallsValue | undefined;
}

export interface MapEdge {
  from: number;
  to: number;
  calls: ServiceCallsValue;
}

export interface ServicesMap {
  nodes: MapNode[];
  edges: MapEdge[];
  /** Edges that are left out, which the table has. */
  more: number;
}

/** The busiest edges of each kind are drawn. */
const SHOWN: Readonly<Record<ServiceCallsValue["kind"], number>> = {
  call: 24,
  worker: 8,
  queue: 6,
  consumers: 6,
  application: 8,
};
export const DEFAULT = "default";

/** The picture of the busiest calls, with the nodes at their ends. */
export function mapOf({ calls }: Pick<ServiceMapValue, "calls">): ServicesMap {
  const nodes = new Map<string, { node: MapNode; place: number }>();
  const place = (kind: NodeKind, name: string, called?: ServiceCallsValue) => {
    const key = `${kind} ${name}`;
    const known = nodes.get(key) ?? { node: { key, name, kind, called }, place: nodes.size };
    nodes.set(key, known);
    return known.place;
  };
  const drawn = new Map<string, number>();
  const edges = calls.flatMap((each) => {
    const number = (drawn.get(each.kind) ?? 0) + 1;
    drawn.set(each.kind, number);
    if (number > SHOWN[each.kind] || each.calls + each.errors === 0) return [];
    const from =
      each.kind === "consumers"
        ? place("queue", named(each, each.caller ?? ""))
        : place(each.caller ? "service" : "clients", each.caller ?? "");
    const to = place(each.kind === "call" ? "service" : each.kind, calledName(each), each);
    return [{ from, to, calls: each }];
  });
  return {
    nodes: [...nodes.values()].map(({ node }) => node),
    edges,
    more: calls.length - edges.length,
  };
}

/** The name of the called part, with its namespace if that is not the usual one. */
export function calledName(each: ServiceCallsValue): string {
  return each.kind === "consumers" ? each.service : named(each, each.service);
}

function named({ namespace }: ServiceCallsValue, name: string): string {
  return namespace && namespace !== DEFAULT ? `${namespace}/${name}` : name;
}

const RATES = [
  ["s", 1],
  ["min", 60],
  ["h", 3_600],
] as const;
const READABLE_MIN = 0.1;

/** Calls a second, or by the first longer unit in which the number can be read. */
export function rateText(calls: number, seconds: number): string {
  const rates = RATES.map(([unit, length]) => ({ unit, rate: (calls * length) / seconds }));
  const { unit, rate } = rates.find((each) => each.rate >= READABLE_MIN) ?? { unit: "h", rate: 0 };
  return `${count(Math.round(rate * 10) / 10)}/${unit}`;
}

/** The charts that measure the called part, and the conditions of its series. */
export function seriesOf(each: ServiceCallsValue): Pick<Chosen, "by" | "only"> {
  const within = each.namespace ? [`namespace=${each.namespace}`] : [];
  switch (each.kind) {
    case "worker":
      return { by: "eachWorker", only: [`worker=${each.service}`, ...within] };
    case "queue":
      return { by: "queues", only: [`queue=${each.service}`, ...within] };
    case "consumers":
      return { by: "queues", only: [`queue=${each.caller}`, ...within] };
    case "application":
      return { by: "apps", only: [`app=${each.service}`, ...within] };
    default:
      if (each.service === "gateway") return { by: "routes", only: undefined };
      return { by: "services", only: [`service=${each.service}`] };
  }
}
