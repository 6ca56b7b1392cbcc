import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { read } from "@/api/client";
import type { MetricSeriesList } from "@/api/schema";
import { Chart, type LineStyle, type Mark } from "@/canvas/chart";
import { percentileLine } from "@/canvas/percentiles";
import { Empty, Skeleton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { count, duration } from "@/model/durations";
import { say } from "@/model/messages";
import { type Columns, countColumns, latencyColumns } from "@/model/series";
import { lookOf } from "@/model/status";
import styles from "./page.module.css";
import { betweenText, executionsOf, type Span } from "./span";

const DASHES: readonly number[][] = [[], [6, 3], [2, 2], [8, 3, 2, 3]];
const LINES_MAX = 8;
const MINUTE_S = 60;

interface Props {
  span: Span;
  workflow: string | undefined;
  zoom: (from: number, to: number) => void;
  marks: readonly Mark[];
}

/** Executions by status, and their durations, over the chosen time. */
export function ExecutionCharts({ span, workflow, zoom, marks }: Props) {
  const filter = executionsOf(span, workflow);
  const { stepS } = span;
  const counts = useQuery({
    queryKey: ["observe", "counts", filter],
    queryFn: ({ signal }) =>
      read("/api/v1/executions:series", { query: { filter, stepS, groupBy: ["status"] }, signal }),
    placeholderData: (before) => before,
  });
  const latencies = useQuery({
    queryKey: ["observe", "latencies", filter],
    queryFn: ({ signal }) =>
      read("/api/v1/executions:series", {
        query: { filter: `status = completed AND ${filter}`, stepS, durations: true },
        signal,
      }),
    placeholderData: (before) => before,
  });
  if (counts.isError) return <Problem error={counts.error} retry={() => void counts.refetch()} />;
  if (!counts.data || !latencies.data) return <Skeleton rows={4} />;
  return (
    <div className={styles.charts}>
      <Chart
        title={say("observe.rates")}
        columns={countColumns(counts.data.points, "status", span)}
        styleOf={(status) => ({
          label: lookOf(status).word,
          colour: ({ family }) => family[lookOf(status).family],
        })}
        format={(value) => count(Math.round(value * 10) / 10)}
        nothing={say("observe.nothing")}
        zoom={zoom}
        marks={marks}
      />
      <Chart
        title={say("observe.durations")}
        columns={latencyColumns(latencies.data.points, span)}
        styleOf={percentileLine}
        format={(value) => duration(value * 1_000)}
        nothing={say("observe.nothing")}
        zoom={zoom}
        marks={marks}
      />
    </div>
  );
}

interface Signal {
  name:
    | "calls"
    | "errors"
    | "latencies"
    | "waiting"
    | "running"
    | "oldest"
    | "commits"
    | "attempts"
    | "failures"
    | "published"
    | "consumed"
    | "sizes";
  metric: string;
  groupBy: string;
  where?: readonly string[];
  quantile?: number;
}

const GOOD = ["200", "201", "202", "204", "206", "304"].map((each) => `status!=${each}`);

/** Attempts of tasks by a label: completed, failed, and their durations. */
function attemptsBy(label: "task_type" | "worker"): readonly Signal[] {
  const metric = `flowmesh_${label}_attempts_total`;
  return [
    { name: "attempts", metric, groupBy: label, where: ["outcome=completed"] },
    { name: "failures", metric, groupBy: label, where: ["outcome=failed"] },
    {
      name: "latencies",
      metric: `flowmesh_${label}_attempt_seconds_bucket`,
      groupBy: label,
      quantile: 0.95,
    },
  ];
}

/** The charts of rates, errors and durations, by what they are about. */
export const SIGNALS: Readonly<Record<string, readonly Signal[]>> = {
  services: [
    { name: "calls", metric: "flowmesh_rpc_total", groupBy: "service", where: ["code=OK"] },
    { name: "errors", metric: "flowmesh_rpc_total", groupBy: "service", where: ["code!=OK"] },
    {
      name: "latencies",
      metric: "flowmesh_rpc_seconds_bucket",
      groupBy: "service",
      quantile: 0.95,
    },
  ],
  routes: [
    { name: "calls", metric: "flowmesh_http_requests_total", groupBy: "route" },
    { name: "errors", metric: "flowmesh_http_requests_total", groupBy: "route", where: GOOD },
    {
      name: "latencies",
      metric: "flowmesh_http_request_seconds_bucket",
      groupBy: "route",
      quantile: 0.95,
    },
  ],
  workers: [
    { name: "waiting", metric: "flowmesh_tasks_ready", groupBy: "process" },
    { name: "running", metric: "flowmesh_tasks_out", groupBy: "process" },
    { name: "oldest", metric: "flowmesh_oldest_ready_task_seconds", groupBy: "process" },
  ],
  tasks: [
    { name: "calls", metric: "flowmesh_tasks_completed_total", groupBy: "process" },
    { name: "errors", metric: "flowmesh_tasks_failed_total", groupBy: "process" },
    {
      name: "latencies",
      metric: "flowmesh_execution_seconds_bucket",
      groupBy: "process",
      quantile: 0.95,
    },
  ],
  taskTypes: attemptsBy("task_type"),
  eachWorker: attemptsBy("worker"),
  queues: [
    { name: "published", metric: "messages_published_total", groupBy: "queue" },
    { name: "consumed", metric: "messages_consumed_total", groupBy: "queue" },
    { name: "failures", metric: "messages_failed_total", groupBy: "queue" },
    { name: "sizes", metric: "queue_sizes", groupBy: "queue" },
  ],
  database: [
    { name: "commits", metric: "flowmesh_commit_seconds_count", groupBy: "process" },
    {
      name: "errors",
      metric: "flowmesh_rpc_total",
      groupBy: "service",
      where: ["code=UNAVAILABLE"],
    },
    {
      name: "latencies",
      metric: "flowmesh_commit_seconds_bucket",
      groupBy: "process",
      quantile: 0.95,
    },
  ],
};

const SECONDS: readonly string[] = ["latencies", "oldest"];

interface SignalProps extends Omit<Props, "workflow"> {
  /** A key of `SIGNALS`. */
  by: string;
  only?: readonly string[] | undefined;
}

/** What the suite measures of itself, on the same axis of time; for operators. */
export function SignalCharts({ by, ...rest }: SignalProps) {
  return (
    <div className={styles.charts}>
      {SIGNALS[by]?.map((each) => (
        <SignalChart key={`${by} ${each.name}`} by={by} signal={each} {...rest} />
      ))}
    </div>
  );
}

function SignalChart(props: SignalProps & { signal: Signal }) {
  const { by, signal: chart, only = [], span, zoom, marks } = props;
  const { from, to } = betweenText(span.from, span.to);
  const query = useQuery({
    queryKey: ["observe", by, chart.name, only, from, to],
    queryFn: ({ signal }) => {
      const { metric, groupBy, where = [], quantile = 0 } = chart;
      const stepS = Math.ceil(span.stepS / MINUTE_S) * MINUTE_S;
      const asked = {
        metric,
        groupBy,
        quantile,
        where: [...where, ...only],
        from,
        until: to,
        stepS,
      };
      return read("/api/v1/observe/series", { query: asked, signal });
    },
    placeholderData: (before) => before,
    retry: false,
  });
  const columns = useMemo(
    () => (query.data ? columnsOf(query.data, span) : undefined),
    [query.data, span],
  );
  const title = say("observe.signal", {
    name: say(`observe.${chart.name}`),
    by: say(`observe.by.${by}` as "observe.by.services"),
  });
  if (query.isError) return <Empty title={title}>{say("observe.operators")}</Empty>;
  if (!columns) return <Skeleton rows={4} />;
  return (
    <Chart
      title={title}
      columns={columns}
      styleOf={lineOf}
      format={(value) =>
        SECONDS.includes(chart.name) ? duration(value * 1_000) : count(Math.round(value))
      }
      nothing={say("observe.nothing")}
      zoom={zoom}
      marks={marks}
    />
  );
}

export function lineOf(name: string): LineStyle {
  const place = [...name].reduce((sum, letter) => sum + letter.charCodeAt(0), 0);
  const dash = DASHES[place % DASHES.length];
  return {
    label: name || "–",
    colour: ({ accent, family }) => (place % 2 ? accent : family.success),
    ...(dash?.length && { dash }),
  };
}

export function columnsOf({ series, stepS }: MetricSeriesList, span: Span): Columns {
  const times: number[] = [];
  const first = Math.floor(span.from / 1_000 / stepS) * stepS;
  for (let at = first; at * 1_000 <= span.to; at += stepS) times.push(at);
  const lines = series.slice(0, LINES_MAX).map(({ group, points }) => {
    const values = new Map(points.map(({ at, value }) => [Date.parse(at) / 1_000, value]));
    return { name: group, values: times.map((at) => values.get(at) ?? 0) };
  });
  return { times, lines };
}
