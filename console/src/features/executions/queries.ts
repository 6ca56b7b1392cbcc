/** Calls of the list of executions: rows in pages, counts by facet, and counts over time. */

import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { read } from "@/api/client";
import type { ExecutionSummary } from "@/api/schema";
import type { ListSearch } from "@/app/routes";

export const PAGE_SIZE = 100;
/** Rows in memory; pages far away are dropped and read again. */
const PAGES_MAX = 50;

export interface Range {
  id: string;
  label: string;
  hours: number;
}

export const RANGES: readonly Range[] = [
  { id: "1h", label: "Last hour", hours: 1 },
  { id: "24h", label: "Last 24 hours", hours: 24 },
  { id: "7d", label: "Last 7 days", hours: 168 },
  { id: "30d", label: "Last 30 days", hours: 720 },
  { id: "all", label: "All time", hours: 8_760 },
];
export const DEFAULT_RANGE = "7d";
export const FACETS = ["status", "workflow", "error.class"] as const;

export function rangeOf(search: ListSearch): Range {
  const found = RANGES.find((each) => each.id === (search.range ?? DEFAULT_RANGE));
  return found ?? (RANGES[2] as Range);
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

export function rowsQuery(search: ListSearch) {
  const filter = wholeFilter(search);
  return infiniteQueryOptions({
    queryKey: ["executions", "rows", filter, search.order ?? ""],
    queryFn: ({ pageParam, signal }) =>
      read("/api/v1/executions", {
        query: { filter, orderBy: search.order, pageSize: PAGE_SIZE, pageToken: pageParam },
        signal,
      }),
    initialPageParam: "",
    getNextPageParam: (last) => last.nextPageToken || undefined,
    maxPages: PAGES_MAX,
    placeholderData: (before) => before,
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
