import { useInfiniteQuery } from "@tanstack/react-query";

interface Page<Row> {
  rows: readonly Row[];
  next: string | undefined;
}

/** Rows of a list that the server gives page by page. */
export function usePages<Row>(
  key: readonly unknown[],
  load: (pageToken: string, signal: AbortSignal) => Promise<Page<Row>>,
  refetchInterval: number | false = false,
) {
  const query = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam, signal }) => load(pageParam, signal),
    initialPageParam: "",
    getNextPageParam: (last: Page<Row>) => last.next || undefined,
    refetchInterval,
  });
  return { query, rows: query.data?.pages.flatMap((page) => page.rows) ?? [] };
}
