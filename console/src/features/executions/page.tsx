import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState } from "react";
import { useFresh } from "@/api/fresh";
import { useOffered } from "@/app/commands";
import { useKeys } from "@/app/keys";
import { PageHeader } from "@/app/pageHeader";
import type { ListSearch } from "@/app/routes";
import { Empty, Skeleton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { BulkBar } from "./bulkBar";
import { Facets } from "./facets";
import { FilterBar } from "./filterBar";
import { Histogram } from "./histogram";
import styles from "./page.module.css";
import { type Row, rowsQuery, wholeFilter } from "./queries";
import { SavedViews } from "./savedViews";
import { type Selection, Table } from "./table";

const route = getRouteApi("/executions");
/** Counts and new rows are read again at most this often while events arrive. */
const REFRESH_MS = 1_000;

export function ExecutionsPage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const change = (values: Partial<ListSearch>) =>
    void navigate({ search: (before: ListSearch) => ({ ...before, ...values }) });
  const query = useInfiniteQuery(rowsQuery(search));
  const rows = useMemo(
    () => query.data?.pages.flatMap((page) => page.executions) ?? [],
    [query.data],
  );
  const [selection, setSelection] = useState<Selection>({ ids: new Set(), all: false });
  const filter = wholeFilter(search);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a selection belongs to its filter
  useEffect(() => setSelection({ ids: new Set(), all: false }), [filter]);
  const input = useRef<HTMLInputElement>(null);
  useKeys({ "/": () => input.current?.focus() });
  useOffered([
    { id: "filter", label: "Filter executions", keys: "/", run: () => input.current?.focus() },
    {
      id: "failed",
      label: "Show failed executions",
      run: () => change({ q: "status = failed" }),
    },
    { id: "clear", label: "Clear the filter", run: () => change({ q: undefined }) },
  ]);
  useFreshRows();
  return (
    <>
      <PageHeader title="Executions">
        <SavedViews search={search} change={change} />
        <FilterBar search={search} change={change} input={input} error={query.error} />
      </PageHeader>
      <div className={styles.body}>
        <Facets search={search} change={change} ready={!query.isPending} />
        <section className={styles.list} aria-label="List of executions">
          <Histogram search={search} change={change} ready={!query.isPending} />
          {query.isPending && <Skeleton rows={14} />}
          {query.isError && <Problem error={query.error} retry={() => void query.refetch()} />}
          {query.isSuccess && rows.length === 0 && (
            <Nothing filtered={!!search.q} change={change} />
          )}
          {!query.isError && rows.length > 0 && (
            <Table
              rows={rows}
              search={search}
              change={change}
              selection={selection}
              select={setSelection}
              more={() => void query.fetchNextPage()}
              hasMore={query.hasNextPage && !query.isFetchingNextPage}
              loading={query.isFetchingNextPage}
            />
          )}
          <BulkBar filter={filter} rows={rows} selection={selection} select={setSelection} />
        </section>
      </div>
    </>
  );
}

function Nothing({
  filtered,
  change,
}: {
  filtered: boolean;
  change: (values: Partial<ListSearch>) => void;
}) {
  if (filtered) {
    return (
      <Empty title="No execution matches">
        <p>Nothing that started in this time matches the filter.</p>
        <p>
          <button
            type="button"
            className={styles.textButton}
            onClick={() => change({ q: undefined })}
          >
            Clear the filter
          </button>
          {" or "}
          <button
            type="button"
            className={styles.textButton}
            onClick={() => change({ range: "all", from: undefined, to: undefined })}
          >
            search all time
          </button>
        </p>
      </Empty>
    );
  }
  return (
    <Empty title="No executions in this time">
      <p>Executions appear here as soon as they are started:</p>
      <code>flowmesh start WORKFLOW --input '{"{}"}'</code>
    </Empty>
  );
}

const ENDED: Record<string, Row["status"]> = {
  WorkflowCompleted: "completed",
  WorkflowFailed: "failed",
  WorkflowCanceled: "canceled",
  WorkflowTerminated: "canceled",
  WorkflowPaused: "paused",
  WorkflowResumed: "running",
};

/** Show changes of the rows at once, and read new rows and counts a moment later. */
function useFreshRows(): void {
  const client = useQueryClient();
  useFresh("executions", REFRESH_MS, (events) => {
    const statuses = new Map<string, { status: Row["status"]; at: string }>();
    for (const event of events) {
      const status = ENDED[event.type];
      if (status) statuses.set(event.executionId, { status, at: event.timestamp });
    }
    if (statuses.size > 0) {
      client.setQueriesData<{ pages: { executions: Row[] }[]; pageParams: unknown[] }>(
        { queryKey: ["executions", "rows"] },
        (data) =>
          data && {
            ...data,
            pages: data.pages.map((page) => ({
              ...page,
              executions: page.executions.map((row) => changedRow(row, statuses)),
            })),
          },
      );
    }
  });
}

function changedRow(row: Row, statuses: Map<string, { status: Row["status"]; at: string }>): Row {
  const change = statuses.get(row.executionId);
  if (!change) return row;
  const open = change.status === "running" || change.status === "paused";
  return open
    ? { ...row, status: change.status }
    : { ...row, status: change.status, endedAt: row.endedAt ?? change.at };
}
