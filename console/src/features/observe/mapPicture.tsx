/** The map of services from left to right; the text of an edge leads to its series. */

import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { usePreference } from "@/app/preferences";
import { BoxPicture, curve, type Point } from "@/canvas/boxPicture";
import boxes from "@/canvas/boxPicture.module.css";
import { duration, percent } from "@/model/durations";
import { layout } from "@/model/layout";
import { say } from "@/model/messages";
import {
  calledName,
  DEFAULT,
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

export function MapPicture({ map, seconds }: Props) {
  const { places, lines, width, height } = useMemo(() => placed(map), [map]);
  return (
    <>
      <BoxPicture
        name={say("observe.picture")}
        width={width}
        height={height}
        className={styles.frame}
        lines={map.edges.map((edge, at) => (
          <path
            // biome-ignore lint/suspicious/noArrayIndexKey: edges have no identity of their own
            key={at}
            className={boxes.line}
            data-failing={edge.calls.errors > 0 || undefined}
            d={curve(lines[at] as Point[])}
          />
        ))}
      >
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
      </BoxPicture>
      {map.more > 0 && <p className="muted">{say("observe.moreEdges", { count: map.more })}</p>}
    </>
  );
}

function Node({ node: { name, kind, called }, at }: { node: MapNode; at: Point }) {
  const project = usePreference("namespace") || DEFAULT;
  const text = name || say("observe.edge.clients");
  const shown = (
    <bdi className="truncate" title={text}>
      {text}
    </bdi>
  );
  return (
    <div
      className={`${boxes.box} ${styles.node}`}
      data-kind={kind}
      style={{ left: at.x, top: at.y, width: WIDTH, height: HEIGHT }}
    >
      {kind === "application" && called?.namespace === project ? (
        <Link to="/apps/$app" params={{ app: called.service }} className="truncate">
          {shown}
        </Link>
      ) : (
        shown
      )}
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

/** The middle of the last part of a line, where it is apart from the others of its start. */
function middle(points: Point[]): Point {
  const [before, last] = points.slice(-2) as [Point, Point];
  return { x: Math.max((before.x + last.x) / 2, last.x - GAP / 2), y: (before.y + last.y) / 2 };
}
