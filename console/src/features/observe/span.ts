/** The time that the page shows, and its filter of executions. */

import { serverNow } from "@/design/useNow";
import { quoted } from "@/model/filter";
import { stepOf } from "@/model/series";

export const DEFAULT_HOURS = 6;
const HOUR_MS = 3_600_000;
const WEEK_MS = 168 * HOUR_MS;

export interface Chosen {
  hours?: number | undefined;
  from?: string | undefined;
  to?: string | undefined;
  workflow?: string | undefined;
  q?: string | undefined;
  trace?: string | undefined;
  /** An execution whose request is shown. */
  execution?: string | undefined;
  /** What the charts of signals are about. */
  by?: string | undefined;
  /** Conditions on labels that the series of signals fulfil. */
  only?: string[] | undefined;
  /** The question that is answered. */
  ask?: string | undefined;
}

export interface Span {
  from: number;
  to: number;
  stepS: number;
}

/** The chosen time, by default up to now. */
export function spanOf({ hours = DEFAULT_HOURS, from, to }: Chosen): Span {
  const end = (to && Date.parse(to)) || serverNow();
  const start = (from && Date.parse(from)) || end - hours * HOUR_MS;
  return { from: start, to: end, stepS: stepOf((end - start) / HOUR_MS) };
}

export function betweenText(from: number, to: number): { from: string; to: string } {
  return { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
}

/** The same length of time, a week before. */
export function weekBefore(span: Span): { from: string; to: string } {
  return betweenText(span.from - WEEK_MS, span.to - WEEK_MS);
}

/** The executions that started in the time. */
export function executionsOf(span: Span, workflow: string | undefined): string {
  const { from, to } = betweenText(span.from, span.to);
  const time = `started >= "${from}" AND started < "${to}"`;
  return workflow ? `${time} AND workflow = ${quoted(workflow)}` : time;
}
