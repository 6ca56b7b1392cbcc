import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { read } from "@/api/client";
import { Chart, type LineStyle } from "@/canvas/chart";
import { percentileLine } from "@/canvas/percentiles";
import { Skeleton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { serverNow } from "@/design/useNow";
import { count, duration } from "@/model/durations";
import { quoted } from "@/model/filter";
import { say } from "@/model/messages";
import { countColumns, latencyColumns, stepOf, successColumns } from "@/model/series";
import { lookOf } from "@/model/status";
import styles from "./page.module.css";

const HOUR_MS = 3_600_000;
const DASHES: Record<string, number[]> = {
  failed: [2, 2],
  canceled: [6, 3],
  running: [8, 3, 2, 3],
};

interface Props {
  hours: number;
  workflow: string | undefined;
}

/** Starts by status, success rate, and durations over time. */
export function Charts({ hours, workflow }: Props) {
  const stepS = stepOf(hours);
  const filter = `started > "-${hours}h"${workflow ? ` AND workflow = ${quoted(workflow)}` : ""}`;
  const counts = useQuery({
    queryKey: ["dashboards", "counts", filter],
    queryFn: ({ signal }) =>
      read("/api/v1/executions:series", { query: { filter, stepS, groupBy: ["status"] }, signal }),
    placeholderData: (before) => before,
  });
  const latencies = useQuery({
    queryKey: ["dashboards", "latencies", filter],
    queryFn: ({ signal }) =>
      read("/api/v1/executions:series", {
        query: { filter: `status = completed AND ${filter}`, stepS, durations: true },
        signal,
      }),
    placeholderData: (before) => before,
  });
  const shown = useMemo(() => {
    const now = serverNow();
    const span = { from: now - hours * HOUR_MS, to: now, stepS };
    const starts = countColumns(counts.data?.points ?? [], "status", span);
    return {
      starts,
      success: successColumns(starts),
      latencies: latencyColumns(latencies.data?.points ?? [], span),
    };
  }, [counts.data, latencies.data, hours, stepS]);
  if (counts.isError) return <Problem error={counts.error} retry={() => void counts.refetch()} />;
  if (latencies.isError) {
    return <Problem error={latencies.error} retry={() => void latencies.refetch()} />;
  }
  if (!counts.data || !latencies.data) return <Skeleton rows={6} />;
  return (
    <div className={styles.charts}>
      <Chart
        title={say("dashboards.byStart")}
        columns={shown.starts}
        styleOf={statusLine}
        format={(value) => count(Math.round(value * 10) / 10)}
        nothing={say("dashboards.nothingStarted")}
        stacked
      />
      <Chart
        title={say("dashboards.success")}
        columns={shown.success}
        styleOf={() => ({
          label: say("dashboards.successLine"),
          colour: ({ family }) => family.success,
        })}
        format={(value) => `${value.toFixed(0)} %`}
        nothing={say("dashboards.nothingCompleted")}
      />
      <Chart
        title={say("dashboards.durations")}
        columns={shown.latencies}
        styleOf={percentileLine}
        format={(value) => duration(value * 1_000)}
        nothing={say("dashboards.nothingCompleted")}
      />
    </div>
  );
}

function statusLine(status: string): LineStyle {
  const look = lookOf(status);
  const dash = DASHES[status];
  return {
    label: look.word,
    colour: ({ family }) => family[look.family],
    ...(dash && { dash }),
  };
}
