/** Calls of the list of executions: rows in pages, counts by facet, and counts over time. */

import { queryOptions } from "@tanstack/react-query";
import { read } from "@/api/client";
import type { ExecutionSummary } from "@/api/schema";
import type { ListSearch } from "@/app/routes";
import { say } from "@/model/messages";

/** The key of all pages of all lists. */
export const ROWS = ["executions", "rows"] as const;
const PAGE_SIZE = 100;

export interface Range {
  id: string;
  label: string;
  hours: number;
}

export const RANGES: readonly Range[] = [
  { id: "1h", label: say("executions.hour"), hours: 1 },
  { id: "24h", label: say("executions.day"), hours: 24 },
  { id: "7d", label: say("executions.week"), hours: 168 },
  { id: "30d", label: say("executions.month"), hours: 720 },
  { id: "all", label: say("executions.ever"), hours: 8_760 },
  { id: "archive", label: say("executions.archive"), hours: 0 },
];
export const DEFAULT_RANGE = "7d";
export const FACETS = ["status", "workflow", "error.class"] as const;

export function rangeOf(search: ListSearch): Range {
  const found = RANGES.find((each) => each.id === (search.range ?? DEFAULT_RANGE));
  return found ?? (RANGES[2] as Range);
}

/** Whether the list is that of the archive, which has no filter, order and counts. */
export function isArchive(search: ListSearch): boolean {
  return rangeOf(search).id === "archive";
}

/** The whole filter: the text of the reader and the bound of the time. */
export function wholeFilter(search: ListSearch): string {
  const terms = [];
  if (search.q) terms.push(/\bOR\b/i.test(search.q) ? `(${search.q})` : search.q);
  if (search.from && search.to) {
    terms.push(`started >= "${search.from}"`, `started < "${search.to}"`);
  } else if (rangeOf(search).id !== "all") {
    const { hours } = rangeOf(search);
    terms.push(`started > "-${hours}h"`);
  }
  return terms.join(" AND ");
}

/** A name of the list: executions that match a filter, in an order. */
export function listOf(search: ListSearch): string {
  return isArchive(search) ? "archive" : `${search.order ?? ""} ${wholeFilter(search)}`;
}

/** A page of the list; the first has an empty token. */
export function pageQuery(search: ListSearch, pageToken: string) {
  const asked = isArchive(search)
    ? { archived: true }
    : { filter: wholeFilter(search), orderBy: search.order, include: "search" as const };
  return queryOptions({
    queryKey: [...ROWS, listOf(search), pageToken],
    queryFn: ({ signal }) =>
      read("/api/v1/executions", { query: { ...asked, pageSize: PAGE_SIZE, pageToken }, signal }),
  });
}

export function facetQuery(search: ListSearch, name: string) {
  const filter = wholeFilter(search);
  return queryOptions({
    queryKey: ["executions", "facet", name, filter],
    queryFn: ({ signal }) =>
      read("/api/v1/executions:count", { query: { filter, groupBy: [name] }, signal }),
    placeholderData: (before) => before,
  });
}

const STEPS_S = [60, 300, 900, 3_600, 21_600, 86_400, 604_800];
const BARS = 84;

/** The interval that the histogram shows, and the length of its steps. */
export function spanOf(search: ListSearch, now: number) {
  const from = search.from ? Date.parse(search.from) : now - rangeOf(search).hours * 3_600_000;
  const to = search.to ? Date.parse(search.to) : now;
  const wanted = (to - from) / 1_000 / BARS;
  const stepS = STEPS_S.find((each) => each >= wanted) ?? 2_592_000;
  return { from, to, stepS };
}

export function seriesQuery(search: ListSearch, stepS: number) {
  const filter = wholeFilter(search);
  return queryOptions({
    queryKey: ["executions", "series", filter, stepS],
    queryFn: ({ signal }) =>
      read("/api/v1/executions:series", { query: { filter, stepS, groupBy: ["status"] }, signal }),
    placeholderData: (before) => before,
  });
}

export type Row = ExecutionSummary;
