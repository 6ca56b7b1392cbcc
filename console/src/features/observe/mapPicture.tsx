/** The map of services from left to right; the text of an edge leads to its series. */

import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { duration, percent } from "@/model/durations";
import { layout } from "@/model/layout";
import { say } from "@/model/messages";
import {
  calledName,
  type MapEdge,
  type MapNode,
  rateText,
  type ServicesMap,
  seriesOf,
} from "./mapEdges";
import styles from "./mapPicture.module.css";

const WIDTH = 172;
const HEIGHT = 36;
/** Between two columns, for the texts of the edges. */
const GAP = 200;
const MARGIN = 12;

interface Props {
  map: ServicesMap;
  /** The length of the time. */
  seconds: number;
}

interface Point {
  x: number;
  y: number;
}

export function MapPicture({ map, seconds }: Props) {
  const { places, lines, width, height } = useMemo(() => placed(map), [map]);
  return (
    <>
      <div
        className={styles.frame}
        role="group"
        aria-label={say("observe.picture")}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls is reached by keys
        tabIndex={0}
      >
        <div className={styles.picture} style={{ width, height }}>
          <svg width={width} height={height} aria-hidden>
            <title>{say("observe.picture")}</title>
            {map.edges.map((edge, at) => (
              <path
                // biome-ignore lint/suspicious/noArrayIndexKey: edges have no identity of their own
                key={at}
                className={styles.line}
                data-failing={edge.calls.errors > 0 || undefined}
                d={curve(lines[at] as Point[])}
              />
            ))}
          </svg>
          {map.nodes.map((node, at) => (
            <Node key={node.key} node={node} at={places[at] as Point} />
          ))}
          {map.edges.map((edge, at) => (
            <EdgeText
              // biome-ignore lint/suspicious/noArrayIndexKey: edges have no identity of their own
              key={at}
              edge={edge}
              nodes={map.nodes}
              at={middle(lines[at] as Point[])}
              seconds={seconds}
            />
          ))}
        </div>
      </div>
      {map.more > 0 && <p className="muted">{say("observe.moreEdges", { count: map.more })}</p>}
    </>
  );
}

function Node({ node: { name, kind }, at }: { node: MapNode; at: Point }) {
  const text = name || say("observe.edge.clients");
  return (
    <div className={styles.node} data-kind={kind} style={{ left: at.x, top: at.y, width: WIDTH }}>
      <bdi className="truncate" title={text}>
        {text}
      </bdi>
      {kind !== "clients" && kind !== "consumers" && <small>{say(`observe.node.${kind}`)}</small>}
    </div>
  );
}

interface EdgeProps {
  edge: MapEdge;
  nodes: readonly MapNode[];
  at: Point;
  seconds: number;
}

function EdgeText({ edge: { calls, from }, nodes, at, seconds }: EdgeProps) {
  const all = calls.kind === "consumers" ? calls.calls + calls.errors : calls.calls;
  const parts = [
    rateText(calls.calls, seconds),
    ...(calls.errors ? [say("observe.edgeErrors", { share: percent(calls.errors / all) })] : []),
    ...(calls.p95Ms ? [duration(calls.p95Ms)] : []),
  ];
  const text = parts.join(" · ");
  const caller = nodes[from]?.name || say("observe.edge.clients");
  return (
    <Link
      from="/observe"
      to="/observe"
      search={(before) => ({ ...before, ...seriesOf(calls) })}
      hash="measured"
      className={styles.edge}
      data-failing={calls.errors > 0 || undefined}
      style={{ left: at.x, top: at.y }}
      aria-label={say("observe.edgeText", { caller, called: calledName(calls), text })}
    >
      {text}
    </Link>
  );
}

/** Places of the nodes, and the points of each edge. */
function placed({ nodes, edges }: ServicesMap) {
  const found = layout({ count: nodes.length, edges });
  const column = (rank: number) => MARGIN + rank * (WIDTH + GAP);
  const places = nodes.map((_, at) => ({
    x: column(found.rank[at] as number),
    y: MARGIN + (found.y[at] as number),
  }));
  const lines = edges.map(({ from, to }, at) => {
    const [start, end] = [places[from] as Point, places[to] as Point];
    const bends = [...(found.bends[at] ?? [])].map((y, step) => ({
      x: column((found.rank[from] as number) + step + 1) + WIDTH / 2,
      y: MARGIN + y,
    }));
    return [
      { x: start.x + WIDTH, y: start.y + HEIGHT / 2 },
      ...bends,
      { x: end.x, y: end.y + HEIGHT / 2 },
    ];
  });
  const last = Math.max(0, ...found.rank);
  return {
    places,
    lines,
    width: column(last) + WIDTH + MARGIN,
    height: found.height + 2 * MARGIN,
  };
}

function curve([first, ...rest]: Point[]): string {
  if (!first) return "";
  let before = first;
  const parts = rest.map((point) => {
    const half = (before.x + point.x) / 2;
    const part = `C${half} ${before.y} ${half} ${point.y} ${point.x} ${point.y}`;
    before = point;
    return part;
  });
  return `M${first.x} ${first.y} ${parts.join(" ")}`;
}

/** The middle of the last part of a line, where it is apart from the others of its start. */
function middle(points: Point[]): Point {
  const [before, last] = points.slice(-2) as [Point, Point];
  return { x: Math.max((before.x + last.x) / 2, last.x - GAP / 2), y: (before.y + last.y) / 2 };
}
