/** Panels of a saved dashboard: lines, numbers, tables. */

import { useMemo } from "react";
import type { DashboardPanelValue, DashboardSeriesValue, MetricSeriesList } from "@/api/schema";
import { Chart } from "@/canvas/chart";
import { Empty, Skeleton } from "@/design/primitives";
import { type Column, Table } from "@/design/table";
import { say } from "@/model/messages";
import { columnsOf, lineOf, useSeries } from "./charts";
import styles from "./page.module.css";
import { nameOf, type Row, rowsOf, shown } from "./savedValues";
import type { Span } from "./span";

const MINUTE_S = 60;
const HOUR_MS = 3_600_000;

interface Props {
  panel: DashboardPanelValue;
  span: Span;
}

interface LineProps extends Props {
  zoom: (from: number, to: number) => void;
}

export function LinePanel({ panel, span, zoom }: LineProps) {
  const { found, failed } = useSeries(panel.series, span);
  const columns = useMemo(
    () => found && columnsOf(joined(panel, found), span),
    [panel, found, span],
  );
  if (failed) return <Empty title={panel.title}>{say("observe.operators")}</Empty>;
  if (!columns) return <Skeleton rows={4} />;
  return (
    <Chart
      title={panel.title}
      columns={columns}
      styleOf={lineOf}
      format={(value) => shown(value, panel.unit)}
      nothing={say("observe.nothing")}
      zoom={zoom}
    />
  );
}

export function NumberPanel({ panel, span }: Props) {
  const { rows, failed } = useRows(panel, span);
  return (
    <section aria-label={panel.title} className={styles.tile}>
      <h2 className={styles.tileTitle}>{panel.title}</h2>
      {failed && <p className="muted">{say("observe.operators")}</p>}
      {rows?.length === 0 && <strong className="numbers">{shown(0, panel.unit)}</strong>}
      {rows?.map(({ name, value }) => (
        <p key={name}>
          <strong className="numbers">{shown(value, panel.unit)}</strong>{" "}
          {rows.length > 1 && <span className="muted">{name}</span>}
        </p>
      ))}
    </section>
  );
}

export function TablePanel({ panel, span }: Props) {
  const { rows, failed } = useRows(panel, span);
  if (failed) return <Empty title={panel.title}>{say("observe.operators")}</Empty>;
  if (!rows) return <Skeleton rows={4} />;
  const columns: readonly Column<Row>[] = [
    { head: say("observe.series"), as: "text", cell: ({ name }) => name },
    {
      head: say("observe.value"),
      as: "numbers",
      cell: ({ value }) => shown(value, panel.unit),
    },
  ];
  return <Table title={panel.title} columns={columns} rows={rows} keyOf={({ name }) => name} />;
}

/** One value for each series, over the own time of the panel. */
function useRows(panel: DashboardPanelValue, whole: Span) {
  const { hours } = panel;
  const span = useMemo(
    () => (hours ? { ...whole, from: whole.to - hours * HOUR_MS } : whole),
    [whole, hours],
  );
  const { found, failed } = useSeries(panel.series, span);
  const rows = useMemo(
    () =>
      found?.flatMap((each, at) => {
        const series = panel.series[at] as DashboardSeriesValue;
        return rowsOf(series, each, panel.unit, span);
      }),
    [panel, found, span],
  );
  return { rows, failed };
}

/** The lines of all series of a panel under their names, in its unit. */
function joined(panel: DashboardPanelValue, found: readonly MetricSeriesList[]): MetricSeriesList {
  const stepS = found[0]?.stepS ?? MINUTE_S;
  const series = found.flatMap(({ series: lines }, at) =>
    lines.map(({ group, points }) => ({
      group: nameOf(panel.series[at], group),
      points: points.map((point) => ({
        at: point.at,
        value: panel.unit === "per-second" ? point.value / stepS : point.value,
      })),
    })),
  );
  return { stepS, series };
}
