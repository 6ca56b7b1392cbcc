import type { LineStyle } from "./chart";

const DASHES: Record<string, number[]> = { p95: [6, 3], p99: [2, 2] };

/** The line of a percentile; each differs in colour and dash. */
export function percentileLine(name: string): LineStyle {
  const dash = DASHES[name];
  return {
    label: name,
    colour: ({ family, accent }) =>
      ({ p95: family.undoing, p99: family.attention })[name] ?? accent,
    ...(dash && { dash }),
  };
}
