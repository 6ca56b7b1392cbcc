import { Link } from "@tanstack/react-router";
import { useLayoutEffect, useRef, useState } from "react";
import { say } from "@/model/messages";
import { lookOf } from "@/model/status";
import { type Calls, rate, shownService, type Topology } from "@/model/topology";
import { BoxPicture, curve } from "./boxPicture";
import boxes from "./boxPicture.module.css";
import styles from "./topologyPicture.module.css";

const ROW = 34;
const TOP = 34;
const SUITE_X = 8;
const FLOW_X = 330;
const OUT_X = 690;
const BOX = 250;
const WIDTH = OUT_X + BOX + 10;
const SHOWN = 40;
/** With more lines only those with errors are drawn, and those of the name under the pointer. */
const LINES_SHOWN = 40;

interface Props {
  topology: Topology;
  chosen: string | undefined;
  choose: (name: string | undefined) => void;
  /** The text of a box, if that is not its name. */
  labelOf?: (name: string) => string;
}

/** Three columns with lines between them; a name under the pointer, or chosen, dims the others. */
export function TopologyPicture({ topology, chosen, choose, labelOf = shownService }: Props) {
  const [pointed, point] = useState<string>();
  const frame = useRef<HTMLDivElement>(null);
  // On a narrow screen the workflows are seen first.
  useLayoutEffect(() => {
    frame.current?.scrollTo({ left: FLOW_X - SUITE_X });
  }, []);
  const sources = new Set(topology.calls.map((each) => each.source));
  const targets = new Set(topology.calls.map((each) => each.target));
  const flows = shown(topology.workflows, (each) =>
    sources.has(each.name) ? 0 : each.services.length > 0 ? 1 : 2,
  );
  const outside = shown(topology.outside, (each) => (targets.has(each.name) ? 0 : 1));
  const rows = Math.max(topology.suite.length, flows.length, outside.length, 1);
  const height = TOP + rows * ROW;
  const near = pointed ?? chosen;
  const touched = touching(topology, chosen);
  const quiet = topology.workflows.flatMap((each) => each.services).length > LINES_SHOWN;
  const place = (index: number, total: number) => TOP + (index + (rows - total) / 2) * ROW;
  const flowY = new Map(flows.map((each, index) => [each.name, place(index, flows.length)]));
  const outY = new Map(outside.map((each, index) => [each.name, place(index, outside.length)]));
  const calls = new Map(topology.calls.map((each) => [`${each.source} ${each.target}`, each]));
  const box = (name: string) => ({
    label: labelOf(name),
    point,
    chosen: chosen === name,
    dim: !!chosen && !touched.has(name),
    choose: () => choose(chosen === name ? undefined : name),
  });
  return (
    <BoxPicture
      frame={frame}
      name={say("topology.name")}
      width={WIDTH}
      height={height}
      className={styles.frame}
      lines={
        <>
          {!quiet &&
            flows.map((flow) => (
              <path
                key={flow.name}
                className={styles.inner}
                data-dim={(!!chosen && !touched.has(flow.name)) || undefined}
                d={curve([
                  { x: SUITE_X + BOX, y: height / 2 + TOP / 2 },
                  { x: FLOW_X, y: (flowY.get(flow.name) ?? 0) + 13 },
                ])}
              />
            ))}
          {flows.flatMap((flow) =>
            flow.services.map((service) => {
              const to = outY.get(service);
              const key = `${flow.name} ${service}`;
              const called = calls.get(key);
              const of = near === flow.name || near === service;
              if (to === undefined || (quiet && !of && (near || !called?.errors))) return null;
              const from = flowY.get(flow.name) ?? 0;
              const dim = !!near && !of;
              return <Line key={key} from={from + 13} to={to + 13} dim={dim} calls={called} />;
            }),
          )}
        </>
      }
    >
      <Heading x={SUITE_X} text={say("topology.suite")} />
      <Heading x={FLOW_X} text={more(say("topology.workflows"), topology.workflows.length)} />
      <Heading x={OUT_X} text={more(say("topology.services"), topology.outside.length)} />
      {topology.suite.map((each, index) => (
        <Link
          key={each.name}
          to="/services"
          className={`${boxes.box} ${styles.box}`}
          data-family={lookOf(each.health).family}
          style={{ left: SUITE_X, top: place(index, topology.suite.length), width: BOX }}
          title={`${each.name}: ${lookOf(each.health).word}`}
        >
          <span className="truncate">{each.name}</span>
          <small>
            {lookOf(each.health).word}
            {each.instances > 1 && ` ×${each.instances}`}
          </small>
        </Link>
      ))}
      {flows.map((each) => (
        <Box key={each.name} name={each.name} x={FLOW_X} y={flowY} {...box(each.name)} />
      ))}
      {outside.map((each) => (
        <Box key={each.name} name={each.name} x={OUT_X} y={outY} {...box(each.name)} />
      ))}
    </BoxPicture>
  );
}

interface LineProps {
  from: number;
  to: number;
  dim: boolean;
  /** Real calls; a line without them says that a definition names the service. */
  calls: Calls | undefined;
}

function Line({ from, to, dim, calls }: LineProps) {
  const path = (
    <path
      className={boxes.line}
      data-dim={dim || undefined}
      data-called={!!calls || undefined}
      data-failing={(calls && calls.errors > 0) || undefined}
      d={curve([
        { x: FLOW_X + BOX, y: from },
        { x: OUT_X, y: to },
      ])}
    />
  );
  if (!calls) return path;
  return (
    <>
      {path}
      <text className={styles.rate} data-dim={dim || undefined} x={FLOW_X + BOX + 6} y={from - 4}>
        {say(calls.errors > 0 ? "topology.perMinuteErrors" : "topology.perMinute", {
          rate: rate(calls.perMinute),
          errors: calls.errors,
        })}
      </text>
    </>
  );
}

/** The first of a long list, those of the lowest rank before the others. */
function shown<T>(all: readonly T[], rank: (each: T) => number): T[] {
  if (all.length <= SHOWN) return [...all];
  return [...all].sort((one, other) => rank(one) - rank(other)).slice(0, SHOWN);
}

function more(name: string, total: number): string {
  return total > SHOWN ? say("topology.first", { name, shown: SHOWN, total }) : name;
}

/** The names that a name is connected with, and itself. */
function touching(topology: Topology, name: string | undefined): ReadonlySet<string> {
  const found = new Set<string>(name ? [name] : []);
  for (const flow of topology.workflows) {
    if (flow.name === name) for (const each of flow.services) found.add(each);
    if (name && flow.services.includes(name)) found.add(flow.name);
  }
  return found;
}

function Heading({ x, text }: { x: number; text: string }) {
  return (
    <h2 className={styles.heading} style={{ left: x, width: BOX }}>
      {text}
    </h2>
  );
}

interface BoxProps {
  name: string;
  label: string;
  x: number;
  y: ReadonlyMap<string, number>;
  chosen: boolean;
  dim: boolean;
  choose: () => void;
  point: (name: string | undefined) => void;
}

function Box({ name, label, x, y, chosen, dim, choose, point }: BoxProps) {
  return (
    <button
      type="button"
      className={`${boxes.box} ${styles.box}`}
      aria-pressed={chosen}
      data-dim={dim || undefined}
      style={{ left: x, top: y.get(name) ?? 0, width: BOX }}
      title={label}
      onClick={choose}
      onPointerEnter={() => point(name)}
      onPointerLeave={() => point(undefined)}
      onFocus={() => point(name)}
      onBlur={() => point(undefined)}
    >
      <bdi className="truncate">{label}</bdi>
    </button>
  );
}
