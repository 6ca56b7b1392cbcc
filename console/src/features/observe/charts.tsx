import { useQueries, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { read } from "@/api/client";
import type { DashboardSeriesValue, MetricSeriesList } from "@/api/schema";
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
  by: string;
  where?: readonly string[];
  quantile?: number;
}

const GOOD = ["200", "201", "202", "204", "206", "304"].map((each) => `status!=${each}`);

/** What ended by a label: completed, failed, and its durations. */
function endedBy(by: string, of: string, name: "attempts" | "calls"): readonly Signal[] {
  const metric = `flowmesh_${of}s_total`;
  return [
    { name, metric, by, where: ["outcome=completed"] },
    { name: "failures", metric, by, where: ["outcome=failed"] },
    { name: "latencies", metric: `flowmesh_${of}_seconds_bucket`, by, quantile: 0.95 },
  ];
}

/** The charts of rates, errors and durations, by what they are about. */
export const SIGNALS: Readonly<Record<string, readonly Signal[]>> = {
  services: [
    { name: "calls", metric: "flowmesh_rpc_total", by: "service", where: ["code=OK"] },
    { name: "errors", metric: "flowmesh_rpc_total", by: "service", where: ["code!=OK"] },
    {
      name: "latencies",
      metric: "flowmesh_rpc_seconds_bucket",
      by: "service",
      quantile: 0.95,
    },
  ],
  routes: [
    { name: "calls", metric: "flowmesh_http_requests_total", by: "route" },
    { name: "errors", metric: "flowmesh_http_requests_total", by: "route", where: GOOD },
    {
      name: "latencies",
      metric: "flowmesh_http_request_seconds_bucket",
      by: "route",
      quantile: 0.95,
    },
  ],
  workers: [
    { name: "waiting", metric: "flowmesh_tasks_ready", by: "process" },
    { name: "running", metric: "flowmesh_tasks_out", by: "process" },
    { name: "oldest", metric: "flowmesh_oldest_ready_task_seconds", by: "process" },
  ],
  tasks: [
    { name: "calls", metric: "flowmesh_tasks_completed_total", by: "process" },
    { name: "errors", metric: "flowmesh_tasks_failed_total", by: "process" },
    {
      name: "latencies",
      metric: "flowmesh_execution_seconds_bucket",
      by: "process",
      quantile: 0.95,
    },
  ],
  taskTypes: endedBy("task_type", "task_type_attempt", "attempts"),
  eachWorker: endedBy("worker", "worker_attempt", "attempts"),
  apps: endedBy("route", "app_request", "calls"),
  queues: [
    { name: "published", metric: "messages_published_total", by: "queue" },
    { name: "consumed", metric: "messages_consumed_total", by: "queue" },
    { name: "failures", metric: "messages_failed_total", by: "queue" },
    { name: "sizes", metric: "queue_sizes", by: "queue" },
  ],
  database: [
    { name: "commits", metric: "flowmesh_commit_seconds_count", by: "process" },
    {
      name: "errors",
      metric: "flowmesh_rpc_total",
      by: "service",
      where: ["code=UNAVAILABLE"],
    },
    {
      name: "latencies",
      metric: "flowmesh_commit_seconds_bucket",
      by: "process",
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
  const where = [...(chart.where ?? []), ...only];
  const { found, failed } = useSeries([{ ...chart, where }], span);
  const columns = useMemo(() => found?.[0] && columnsOf(found[0], span), [found, span]);
  const title = say("observe.signal", {
    name: say(`observe.${chart.name}`),
    by: say(`observe.by.${by}` as "observe.by.services"),
  });
  if (failed) return <Empty title={title}>{say("observe.operators")}</Empty>;
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

/** The series of metrics over a time; `failed` for those who are no operators. */
export function useSeries(
  series: readonly Pick<DashboardSeriesValue, "metric" | "by" | "where" | "quantile">[],
  span: Span,
) {
  const { from, to } = betweenText(span.from, span.to);
  const stepS = Math.ceil(span.stepS / MINUTE_S) * MINUTE_S;
  return useQueries({
    queries: series.map(({ metric, by = "", where, quantile = 0 }) => ({
      queryKey: ["observe", "series", metric, by, where, quantile, from, to],
      queryFn: ({ signal }: { signal: AbortSignal }) => {
        const asked = { metric, groupBy: by, where, quantile, from, until: to, stepS };
        return read("/api/v1/observe/series", { query: asked, signal });
      },
      placeholderData: (before: MetricSeriesList | undefined) => before,
      retry: false,
    })),
    combine: (queries) => ({
      failed: queries.some(({ isError }) => isError),
      found: queries.every(({ data }) => data)
        ? queries.map(({ data }) => data as MetricSeriesList)
        : undefined,
    }),
  });
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
