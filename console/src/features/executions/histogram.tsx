import { useQuery } from "@tanstack/react-query";
import { type PointerEvent, useMemo, useRef, useState } from "react";
import { usePreference } from "@/app/preferences";
import type { ListSearch } from "@/app/routes";
import { Button } from "@/design/primitives";
import { serverNow } from "@/design/useNow";
import { clockTime, count } from "@/model/durations";
import { say } from "@/model/messages";
import { lookOf } from "@/model/status";
import styles from "./histogram.module.css";
import { rangeOf, seriesQuery, spanOf } from "./queries";

const ORDER = [
  "failed",
  "canceled",
  "terminated",
  "compensating",
  "completed",
  "paused",
  "pending",
  "running",
];
const HEIGHT = 48;
/** A drag shorter than this is a click on one bar. */
const DRAG_PX_MIN = 4;

interface Bar {
  at: number;
  total: number;
  parts: { status: string; count: number }[];
}

interface Props {
  search: ListSearch;
  change: (values: Partial<ListSearch>) => void;
  /** Whether the rows are there: counts must not delay them. */
  ready: boolean;
}

/** Starts over time by status; a drag narrows the list to an interval. */
export function Histogram({ search, change, ready }: Props) {
  const zone = usePreference("zone");
  // biome-ignore lint/correctness/useExhaustiveDependencies: now is that of the last change
  const span = useMemo(() => spanOf(search, serverNow()), [search.from, search.to, search.range]);
  const { data } = useQuery({ ...seriesQuery(search, span.stepS), enabled: ready });
  const bars = useMemo(() => barsOf(data?.points ?? []), [data]);
  const most = Math.max(1, ...bars.map((bar) => bar.total));
  const length = span.to - span.from;
  const place = (at: number) => ((at - span.from) / length) * 100;
  const brush = useBrush(span, (from, to) =>
    change({ from: new Date(from).toISOString(), to: new Date(to).toISOString() }),
  );
  const width = (span.stepS * 1_000 * 100) / length;
  const total = bars.reduce((sum, bar) => sum + bar.total, 0);
  return (
    <figure className={styles.histogram} aria-label={say("executions.overTime")}>
      <svg
        {...brush.handlers}
        viewBox={`0 0 100 ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={say("executions.chart", { count: total })}
      >
        {bars.map((bar) => {
          let y = HEIGHT;
          return (
            <g key={bar.at}>
              <title>{titleOf(bar, zone)}</title>
              <rect className={styles.back} x={place(bar.at)} y={0} width={width} height={HEIGHT} />
              {bar.parts.map((part) => {
                const height = Math.max(1.5, (part.count / most) * (HEIGHT - 2));
                y -= height;
                return (
                  <rect
                    key={part.status}
                    className={styles.bar}
                    data-family={lookOf(part.status).family}
                    x={place(bar.at) + width * 0.08}
                    y={y}
                    width={width * 0.84}
                    height={height}
                  />
                );
              })}
            </g>
          );
        })}
        {brush.shown && (
          <rect
            className={styles.brush}
            x={place(brush.shown.from)}
            width={place(brush.shown.to) - place(brush.shown.from)}
            y={0}
            height={HEIGHT}
          />
        )}
      </svg>
      <figcaption className={styles.axis}>
        <time className="numbers">{clockTime(span.from, zone)}</time>
        <span className="numbers">
          {say(data?.capped ? "executions.totalMore" : "executions.total", { count: total })}
        </span>
        {search.from ? (
          <Button small kind="quiet" onClick={() => change({ from: undefined, to: undefined })}>
            {say("executions.backTo", { range: rangeOf(search).label.toLowerCase() })}
          </Button>
        ) : (
          <time className="numbers">{say("executions.now")}</time>
        )}
      </figcaption>
    </figure>
  );
}

function barsOf(
  points: readonly { at: string; values: Record<string, string>; count: number }[],
): Bar[] {
  const bars = new Map<number, Bar>();
  for (const point of points) {
    const at = Date.parse(point.at);
    const bar = bars.get(at) ?? { at, total: 0, parts: [] };
    bar.total += point.count;
    bar.parts.push({ status: point.values.status ?? "", count: point.count });
    bars.set(at, bar);
  }
  for (const bar of bars.values()) {
    bar.parts.sort((left, right) => ORDER.indexOf(right.status) - ORDER.indexOf(left.status));
  }
  return [...bars.values()];
}

function titleOf(bar: Bar, zone: string): string {
  const parts = bar.parts.map(
    (part) => `${count(part.count)} ${lookOf(part.status).word.toLowerCase()}`,
  );
  return `${clockTime(bar.at, zone)}: ${parts.join(", ")}`;
}

interface Interval {
  from: number;
  to: number;
}

function useBrush(
  span: { from: number; to: number; stepS: number },
  choose: (from: number, to: number) => void,
) {
  const start = useRef<{ at: number; x: number }>(undefined);
  const [shown, setShown] = useState<Interval>();
  const timeOf = (event: PointerEvent<SVGSVGElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    return span.from + share * (span.to - span.from);
  };
  const handlers = {
    onPointerDown: (event: PointerEvent<SVGSVGElement>) => {
      event.currentTarget.setPointerCapture(event.pointerId);
      start.current = { at: timeOf(event), x: event.clientX };
    },
    onPointerMove: (event: PointerEvent<SVGSVGElement>) => {
      if (!start.current) return;
      const at = timeOf(event);
      setShown({ from: Math.min(start.current.at, at), to: Math.max(start.current.at, at) });
    },
    onPointerUp: (event: PointerEvent<SVGSVGElement>) => {
      const begun = start.current;
      start.current = undefined;
      setShown(undefined);
      if (!begun) return;
      const at = timeOf(event);
      const step = span.stepS * 1_000;
      if (Math.abs(event.clientX - begun.x) < DRAG_PX_MIN) {
        const bar = Math.floor(at / step) * step;
        choose(bar, bar + step);
      } else {
        choose(Math.min(begun.at, at), Math.max(begun.at, at));
      }
    },
    onPointerCancel: () => {
      start.current = undefined;
      setShown(undefined);
    },
  };
  return { handlers, shown };
}
