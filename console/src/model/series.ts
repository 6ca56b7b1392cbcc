/** Points of time series as aligned columns: one per step, empty steps included. */

export interface Point {
  at: string;
  values: Record<string, string>;
  count: number;
  p50Ms?: number;
  p95Ms?: number;
  p99Ms?: number;
}

/** Times in seconds, and one list of values per name, each as long as the times. */
export interface Columns {
  times: number[];
  lines: { name: string; values: (number | null)[] }[];
}

const STEPS: readonly (readonly [hours: number, stepS: number])[] = [
  [1, 60],
  [6, 300],
  [24, 1_800],
  [168, 14_400],
];
const DAY_S = 86_400;

/** The length of a step at which a chart of these hours has about fifty points. */
export function stepOf(hours: number): number {
  return STEPS.find(([most]) => hours <= most)?.[1] ?? DAY_S;
}

function timesOf(fromMs: number, toMs: number, stepS: number): number[] {
  const first = Math.floor(fromMs / 1_000 / stepS) * stepS;
  const times = [];
  for (let at = first; at * 1_000 <= toMs; at += stepS) times.push(at);
  return times;
}

interface Span {
  from: number;
  to: number;
  stepS: number;
}

/** Counts by the value of a name; a step without executions counts zero. */
export function countColumns(points: readonly Point[], name: string, span: Span): Columns {
  const times = timesOf(span.from, span.to, span.stepS);
  const place = new Map(times.map((at, index) => [at, index]));
  const lines = new Map<string, number[]>();
  for (const point of points) {
    const index = place.get(Math.floor(Date.parse(point.at) / 1_000));
    if (index === undefined) continue;
    const key = point.values[name] ?? "";
    const line = lines.get(key) ?? new Array<number>(times.length).fill(0);
    line[index] = (line[index] ?? 0) + point.count;
    lines.set(key, line);
  }
  return { times, lines: [...lines].map(([line, values]) => ({ name: line, values })) };
}

/** Percentiles of durations in seconds; a step without executions has none. */
export function latencyColumns(points: readonly Point[], span: Span): Columns {
  const times = timesOf(span.from, span.to, span.stepS);
  const found = new Map(
    points.map((point) => [Math.floor(Date.parse(point.at) / 1_000), point] as const),
  );
  const line = (name: string, read: (point: Point) => number | undefined) => ({
    name,
    values: times.map((at) => {
      const point = found.get(at);
      const ms = point && read(point);
      return ms === undefined ? null : ms / 1_000;
    }),
  });
  return {
    times,
    lines: [
      line("p50", (point) => point.p50Ms),
      line("p95", (point) => point.p95Ms),
      line("p99", (point) => point.p99Ms),
    ],
  };
}

/** The share of completed executions in those that completed or failed, in percent. */
export function successColumns({ times, lines }: Columns): Columns {
  const of = (name: string) => lines.find((line) => line.name === name)?.values;
  const [completed, failed] = [of("completed"), of("failed")];
  const values = times.map((_, index) => {
    const good = completed?.[index] ?? 0;
    const all = good + (failed?.[index] ?? 0);
    return all ? (100 * good) / all : null;
  });
  return { times, lines: [{ name: "success", values }] };
}
