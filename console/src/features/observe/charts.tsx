import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { read } from "@/api/client";
import type { MetricSeriesList } from "@/api/schema";
import { Chart, type LineStyle } from "@/canvas/chart";
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

interface Props {
  span: Span;
  workflow: string | undefined;
  zoom: (from: number, to: number) => void;
}

/** Executions by status, and their durations, over the chosen time. */
export function ExecutionCharts({ span, workflow, zoom }: Props) {
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
      />
      <Chart
        title={say("observe.durations")}
        columns={latencyColumns(latencies.data.points, span)}
        styleOf={(name) => ({ label: name, colour: ({ accent }) => accent })}
        format={(value) => duration(value * 1_000)}
        nothing={say("observe.nothing")}
        zoom={zoom}
      />
    </div>
  );
}

const SERVICES = [
  {
    name: "calls",
    query: { metric: "flowmesh_rpc_total", where: ["code=OK"] },
    format: (value: number) => count(Math.round(value)),
  },
  {
    name: "errors",
    query: { metric: "flowmesh_rpc_total", where: ["code!=OK"] },
    format: (value: number) => count(Math.round(value)),
  },
  {
    name: "latencies",
    query: { metric: "flowmesh_rpc_seconds_bucket", quantile: 0.95 },
    format: (value: number) => duration(value * 1_000),
  },
] as const;

/** Calls of services, failed ones, and their durations, on the same axis of time. */
export function ServiceCharts({ span, zoom }: Omit<Props, "workflow">) {
  return (
    <div className={styles.charts}>
      {SERVICES.map((each) => (
        <ServiceChart key={each.name} chart={each} span={span} zoom={zoom} />
      ))}
    </div>
  );
}

interface ServiceProps extends Omit<Props, "workflow"> {
  chart: (typeof SERVICES)[number];
}

function ServiceChart({ chart, span, zoom }: ServiceProps) {
  const { from, to } = betweenText(span.from, span.to);
  const query = useQuery({
    queryKey: ["observe", chart.name, from, to],
    queryFn: ({ signal }) => {
      const asked = { ...chart.query, from, until: to, groupBy: "service" };
      const where = "where" in chart.query ? [...chart.query.where] : [];
      return read("/api/v1/observe/series", { query: { ...asked, where }, signal });
    },
    placeholderData: (before) => before,
    retry: false,
  });
  const columns = useMemo(
    () => (query.data ? columnsOf(query.data, span) : undefined),
    [query.data, span],
  );
  const title = say(`observe.${chart.name}`);
  if (query.isError) return <Empty title={title}>{say("observe.operators")}</Empty>;
  if (!columns) return <Skeleton rows={4} />;
  return (
    <Chart
      title={title}
      columns={columns}
      styleOf={lineOf}
      format={chart.format}
      nothing={say("observe.nothing")}
      zoom={zoom}
    />
  );
}

function lineOf(name: string): LineStyle {
  const place = [...name].reduce((sum, letter) => sum + letter.charCodeAt(0), 0);
  const dash = DASHES[place % DASHES.length];
  return {
    label: name || "–",
    colour: ({ accent, family }) => (place % 2 ? accent : family.success),
    ...(dash?.length && { dash }),
  };
}

function columnsOf({ series, stepS }: MetricSeriesList, span: Span): Columns {
  const times: number[] = [];
  const first = Math.floor(span.from / 1_000 / stepS) * stepS;
  for (let at = first; at * 1_000 <= span.to; at += stepS) times.push(at);
  const lines = series.slice(0, LINES_MAX).map(({ group, points }) => {
    const values = new Map(points.map(({ at, value }) => [Date.parse(at) / 1_000, value]));
    return { name: group, values: times.map((at) => values.get(at) ?? 0) };
  });
  return { times, lines };
}
