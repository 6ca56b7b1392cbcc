/** Names and values of the series of a saved dashboard. */

import type { DashboardPanelValue, DashboardSeriesValue, MetricSeriesList } from "@/api/schema";
import { bytes, count, duration, percent } from "@/model/durations";
import type { Span } from "./span";

type Unit = DashboardPanelValue["unit"];

export interface Row {
  name: string;
  value: number;
}

/** A process sends a minute after its end. */
const LATE_MS = 120_000;
/** Increases, which are summed; the others are gauges and quantiles. */
const INCREASES = /_(?:total|count|sum)$/;

/** The name of a line: its label, the value of the label that groups, or the metric. */
export function nameOf(series: DashboardSeriesValue | undefined, group: string): string {
  return [series?.label, group].filter(Boolean).join(" ") || series?.metric || "";
}

/** One value for each group: the sum of increases, or the newest value unless it is too old. */
export function rowsOf(
  series: DashboardSeriesValue,
  { series: found, stepS }: MetricSeriesList,
  unit: Unit,
  span: Pick<Span, "from" | "to">,
): Row[] {
  return found.map(({ group, points }) => {
    const name = nameOf(series, group);
    if (INCREASES.test(series.metric)) {
      const sum = points.reduce((all, { value }) => all + value, 0);
      return { name, value: unit === "per-second" ? (sum * 1_000) / (span.to - span.from) : sum };
    }
    const newest = points.at(-1);
    const isNew = newest && Date.parse(newest.at) + stepS * 1_000 + LATE_MS >= span.to;
    return { name, value: isNew ? newest.value : 0 };
  });
}

/** A value in the unit of its panel. */
export function shown(value: number, unit: Unit): string {
  switch (unit) {
    case "seconds":
      return duration(value * 1_000);
    case "bytes":
      return bytes(value);
    case "share":
      return percent(value);
    case "per-second":
      return `${count(rounded(value))}/s`;
    default:
      return count(rounded(value));
  }
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
