/** The rows of the list: pages near the reader are read, far ones dropped and read again. */

import { type UseQueryResult, useQueries, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { ExecutionList } from "@/api/schema";
import type { ListSearch } from "@/app/routes";
import { type Chain, learned, pagesAt, rowsOf, UNREAD } from "@/model/pages";
import { listOf, pageQuery, ROWS, type Row } from "./queries";

/** Pages on each side of the shown ones that stay in memory. */
const NEAR_PAGES = 24;
/** Distance from a page at which it is read, in rows. */
const AHEAD = 30;

export interface Rows {
  /** The list that is shown: the one before while nothing is known of a new one. */
  list: string;
  rows: readonly (Row | undefined)[];
  pending: boolean;
  /** Whether the page behind the last row is being read. */
  reading: boolean;
  error: unknown;
  /** Names of the filter and the order that no execution has. */
  warnings: readonly string[];
  retry: () => void;
  /** Read the pages of the rows between two places. */
  show: (first: number, last: number) => void;
}

interface Place {
  list: string;
  chain: Chain;
  /** The first and the last shown page. */
  from: number;
  to: number;
}

export function useRows(search: ListSearch): Rows {
  const client = useQueryClient();
  const list = listOf(search);
  const kept = () => client.getQueryData<Place>(["place", list]) ?? atFirst(list);
  const [state, setState] = useState(kept);
  const place = state.list === list ? state : kept();
  const shown = place.chain.pages.slice(place.from, place.to + 1);
  const found = useQueries({
    queries: shown.map(({ token }) => pageQuery(search, token)),
    combine: combined,
  });
  const chain = found.pages.reduce<Chain>((known, page, index) => {
    const token = shown[index]?.token ?? "";
    return page ? learned(known, token, page.executions.length, page.nextPageToken) : known;
  }, place.chain);
  useEffect(() => {
    if (chain !== place.chain || place !== state) setState({ ...place, chain });
  });
  useEffect(() => {
    client.setQueryData(["place", list], place);
    const { pages } = place.chain;
    const near = pages.slice(Math.max(0, place.from - NEAR_PAGES), place.to + NEAR_PAGES + 1);
    const tokens = new Set<unknown>(near.map((each) => each.token));
    client.removeQueries({
      queryKey: [...ROWS, list],
      type: "inactive",
      predicate: ({ queryKey }) => !tokens.has(queryKey.at(-1)),
    });
  }, [client, list, place]);
  const before = useRef<{ list: string; rows: readonly (Row | undefined)[] }>(undefined);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the pages are those of the cache
  const rows = useMemo(() => {
    const pageOf = (token: string) =>
      client.getQueryData(pageQuery(search, token).queryKey)?.executions;
    const known = before.current?.list === list ? before.current.rows : [];
    return rowsOf(chain, pageOf, known, (page) => page >= place.from && page <= place.to);
  }, [chain, found.pages, list, place.from, place.to]);
  const unknown = chain.total === 0 && found.error === null && !found.pages.some(Boolean);
  useEffect(() => {
    if (!unknown) before.current = { list, rows };
  }, [unknown, list, rows]);
  const show = useCallback(
    (first: number, last: number) => {
      const [from, to] = pagesAt(chain, first - AHEAD, last + AHEAD);
      setState((now) => {
        const same = now.list === list && now.from === from && now.to === to;
        return same ? now : { list, chain, from, to };
      });
    },
    [chain, list],
  );
  const old = unknown ? before.current : undefined;
  return {
    list: old?.list ?? list,
    rows: old?.rows ?? rows,
    pending: unknown && !old,
    reading: found.reading,
    error: found.error,
    warnings: found.warnings,
    retry: () => void client.refetchQueries({ queryKey: [...ROWS, list], type: "active" }),
    show,
  };
}

function atFirst(list: string): Place {
  return { list, chain: UNREAD, from: 0, to: 0 };
}

function combined(results: UseQueryResult<ExecutionList>[]) {
  return {
    pages: results.map((each) => each.data),
    error: results.find((each) => each.isError)?.error ?? null,
    warnings: results.flatMap((each) => each.data?.warnings ?? []),
    reading: results.at(-1)?.isLoading ?? false,
  };
}
