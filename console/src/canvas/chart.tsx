/** Lines or stacked bars over time, with a table of the same numbers. */

import "uplot/dist/uPlot.min.css";
import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import { usePreference } from "@/app/preferences";
import { Button, Empty } from "@/design/primitives";
import { clockTime } from "@/model/durations";
import { say } from "@/model/messages";
import type { Columns } from "@/model/series";
import styles from "./chart.module.css";
import { type Colours, useColours } from "./palette";

const HEIGHT = 200;
/** A drag shorter than this is a click. */
const DRAG_PX_MIN = 4;

export interface LineStyle {
  label: string;
  colour: (colours: Colours) => string;
  dash?: number[];
}

/** A moment, in ms, that a chart marks with a line. */
export interface Mark {
  at: number;
  label: string;
}

interface Props {
  title: string;
  columns: Columns;
  styleOf: (name: string) => LineStyle;
  /** The text of a value, such as `12` or `1.4 s`. */
  format: (value: number) => string;
  /** Shown where no line has a value. */
  nothing: string;
  /** Whether the values are parts of a whole, drawn as bars on each other. */
  stacked?: boolean;
  /** Called with the times, in ms, between which the reader drags. */
  zoom?: (from: number, to: number) => void;
  marks?: readonly Mark[];
}

export function Chart({ nothing, ...plot }: Props) {
  const { title, columns, styleOf, format } = plot;
  const [asTable, setAsTable] = useState(false);
  const empty = columns.lines.every((line) => line.values.every((value) => !value));
  return (
    <section aria-label={title} className={styles.chart}>
      <header>
        <h2>{title}</h2>
        {!empty && (
          <Button small kind="quiet" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
            {say("chart.table")}
          </Button>
        )}
      </header>
      {empty && <Empty title={nothing} />}
      {!empty && asTable && <Numbers columns={columns} styleOf={styleOf} format={format} />}
      {!empty && !asTable && <Plot {...plot} />}
    </section>
  );
}

type PlotProps = Omit<Props, "nothing">;

function Plot({ title, columns, styleOf, format, zoom, marks, stacked = false }: PlotProps) {
  const element = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const colours = useColours();
  const zone = usePreference("zone");
  const names = columns.lines.map((line) => line.name).join();
  const data = useMemo(
    () =>
      [
        columns.times,
        ...(stacked ? summed(columns) : columns.lines.map((line) => line.values)),
      ] as uPlot.AlignedData,
    [columns, stacked],
  );
  const newest = useRef({ data, columns });
  newest.current = { data, columns };
  const zoomNow = useRef(zoom);
  zoomNow.current = zoom;
  const marksNow = useRef(marks);
  marksNow.current = marks;
  // biome-ignore lint/correctness/useExhaustiveDependencies: styles and formats follow the names
  useEffect(() => {
    const box = element.current;
    if (!box) return;
    const sparse = columns.lines.some((line) => line.values.includes(null));
    const valueAt = (line: number, at: number) => newest.current.columns.lines[line]?.values[at];
    const drawn = { sparse, stacked, styleOf, format, valueAt };
    const options = optionsOf(names.split(","), drawn, colours, zone);
    const brush = zoomNow.current && brushed((from, to) => zoomNow.current?.(from, to));
    const size = { width: box.clientWidth };
    const draw = [(plot: uPlot) => drawMarks(plot, marksNow.current ?? [], colours.muted)];
    const hooks = { ...brush?.hooks, draw };
    const made = new uPlot({ ...options, ...brush, ...size, hooks }, newest.current.data, box);
    plot.current = made;
    const observer = new ResizeObserver(() =>
      made.setSize({ width: box.clientWidth, height: HEIGHT }),
    );
    observer.observe(box);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [names, colours, zone]);
  useEffect(() => plot.current?.setData(data), [data]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the plot reads the marks when it draws
  useEffect(() => plot.current?.redraw(), [marks]);
  return (
    <div
      ref={element}
      role="img"
      aria-label={say("chart.lines", { title })}
      className={styles.plot}
    />
  );
}

/** Options of a plot whose reader chooses a span of time by dragging. */
function brushed(zoom: (from: number, to: number) => void): Partial<uPlot.Options> {
  const choose = (plot: uPlot) => {
    const { left, width } = plot.select;
    if (width < DRAG_PX_MIN) return;
    const [from, to] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    zoom(from * 1_000, to * 1_000);
  };
  return {
    cursor: { points: { size: 6 }, drag: { x: true, y: false, setScale: false } },
    hooks: { setSelect: [choose] },
  };
}

/** Draw a dashed line at each moment that the axis has. */
function drawMarks(plot: uPlot, marks: readonly Mark[], colour: string): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.setLineDash([4, 4]);
  for (const { at } of marks) {
    const x = Math.round(plot.valToPos(at / 1_000, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

/** Each line with all that are drawn before it: the first bar is that of the whole. */
function summed({ times, lines }: Columns): number[][] {
  return lines.map((_, from) =>
    times.map((_time, at) =>
      lines.slice(from).reduce((sum, line) => sum + (line.values[at] ?? 0), 0),
    ),
  );
}

interface Drawn extends Pick<Required<Props>, "styleOf" | "format" | "stacked"> {
  /** Whether a line has gaps. */
  sparse: boolean;
  /** The value of a line itself, which a bar is drawn upon others. */
  valueAt: (line: number, at: number) => number | null | undefined;
}

const DAY_S = 86_400;

/** The time of a tick: of the day, or the day where the axis is longer. */
function tickText(at: number, ticks: readonly number[], zone: string): string {
  const long = (ticks.at(-1) ?? at) - (ticks[0] ?? at) > 2 * DAY_S;
  const format: Intl.DateTimeFormatOptions = long
    ? { day: "numeric", month: "short" }
    : { hour: "2-digit", minute: "2-digit" };
  const options = { ...format, ...(zone && { timeZone: zone }) };
  return new Intl.DateTimeFormat("en-GB", options).format(at * 1_000);
}

function optionsOf(
  names: readonly string[],
  { sparse, stacked, styleOf, format, valueAt }: Drawn,
  colours: Colours,
  zone: string,
): Omit<uPlot.Options, "width"> {
  const bars = stacked && uPlot.paths.bars?.({ size: [0.8, 40] });
  const axis: uPlot.Axis = {
    stroke: colours.muted,
    grid: { stroke: colours.line, width: 1 },
    ticks: { stroke: colours.line, width: 1 },
    font: "11px Inter Variable, system-ui, sans-serif",
  };
  return {
    height: HEIGHT,
    ...(zone && { tzDate: (at: number) => uPlot.tzDate(new Date(at * 1_000), zone) }),
    cursor: { points: { size: 6 }, drag: { x: false, y: false } },
    scales: { y: { range: (_plot, _least, most) => [0, Math.max(1e-3, most * 1.1)] } },
    series: [
      {
        value: (_plot, at) => (at === null ? "–" : clockTime(at * 1_000, zone)),
        label: say("chart.time"),
      },
      ...names.map((name): uPlot.Series => {
        const style = styleOf(name);
        return {
          label: style.label,
          stroke: style.colour(colours),
          width: 1.75,
          ...(style.dash && { dash: style.dash }),
          // A value between two gaps is a point; without gaps points would hide the lines.
          points: { show: sparse && !stacked, size: 5 },
          ...(bars && { paths: bars, fill: style.colour(colours), width: 0 }),
          spanGaps: false,
          value: (_plot, _value, series, at) => {
            const value = at === null ? undefined : valueAt(series - 1, at);
            return value === null || value === undefined ? "–" : format(value);
          },
        };
      }),
    ],
    axes: [
      { ...axis, values: (_plot, ticks) => ticks.map((at) => tickText(at, ticks, zone)) },
      { ...axis, size: 60, values: (_plot, ticks) => ticks.map(format) },
    ],
  };
}

function Numbers({
  columns,
  styleOf,
  format,
  title,
}: Omit<PlotProps, "title"> & { title?: string }) {
  const zone = usePreference("zone");
  const rows = columns.times
    .map((at, index) => ({ at, values: columns.lines.map((line) => line.values[index]) }))
    .filter((row) => row.values.some((value) => value));
  return (
    <div
      className={styles.numbers}
      role="group"
      aria-label={title ?? say("chart.numbers")}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls is reached by keys
      tabIndex={0}
    >
      <table>
        <thead>
          <tr>
            <th scope="col">{say("chart.time")}</th>
            {columns.lines.map((line) => (
              <th key={line.name} scope="col">
                {styleOf(line.name).label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.at}>
              <td className="numbers">{clockTime(row.at * 1_000, zone)}</td>
              {row.values.map((value, index) => (
                <td key={columns.lines[index]?.name} className="numbers">
                  {value === null || value === undefined ? "–" : format(value)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
