import { useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState } from "react";
import { useFresh } from "@/api/fresh";
import { asProblem } from "@/api/problems";
import type { ExecutionList } from "@/api/schema";
import { useOffered } from "@/app/commands";
import { useKeys } from "@/app/keys";
import { PageHeader } from "@/app/pageHeader";
import type { ListSearch } from "@/app/routes";
import { Empty, Skeleton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { workflowOf } from "@/model/filter";
import { say } from "@/model/messages";
import { BulkBar } from "./bulkBar";
import { useColumns } from "./columns";
import { Facets } from "./facets";
import { FilterBar } from "./filterBar";
import { Histogram } from "./histogram";
import styles from "./page.module.css";
import { isArchive, ROWS, type Row, wholeFilter } from "./queries";
import { SavedViews } from "./savedViews";
import { type Selection, Table } from "./table";
import { useRows } from "./useRows";

const route = getRouteApi("/executions");
/** Counts and new rows are read again at most this often while events arrive. */
const REFRESH_MS = 1_000;

export function ExecutionsPage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const change = (values: Partial<ListSearch>) =>
    void navigate({ search: (before: ListSearch) => changed(before, values) });
  const found = useRows(search);
  const loaded = useMemo(() => found.rows.filter((row) => row !== undefined), [found.rows]);
  const columns = useColumns(search, change, loaded);
  const [selection, setSelection] = useState<Selection>({ ids: new Set(), all: false });
  const filter = wholeFilter(search);
  const archive = isArchive(search);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a selection belongs to its filter
  useEffect(() => setSelection({ ids: new Set(), all: false }), [filter]);
  const input = useRef<HTMLInputElement>(null);
  useKeys("everywhere", { "/": () => input.current?.focus() });
  useOffered([
    { id: "filter", label: say("executions.filter"), keys: "/", run: () => input.current?.focus() },
    {
      id: "failed",
      label: say("executions.showFailed"),
      run: () => change({ q: "status = failed" }),
    },
    { id: "clear", label: say("executions.clear"), run: () => change({ q: undefined }) },
  ]);
  useFreshRows();
  // What is wrong with a filter stands below it.
  const refused = !!found.error && asProblem(found.error).reason === "FILTER_INVALID";
  return (
    <>
      <PageHeader title={say("executions.title")}>
        <SavedViews search={search} change={change} />
        <FilterBar
          columns={columns}
          search={search}
          change={change}
          input={input}
          error={found.error}
        />
      </PageHeader>
      <div className={styles.body}>
        {!archive && !refused && <Facets search={search} change={change} ready={!found.pending} />}
        <section className={styles.list} aria-label={say("executions.list")}>
          {!archive && <Histogram search={search} change={change} ready={!found.pending} />}
          {found.warnings.map((warning) => (
            <p key={warning} role="note" className={styles.warning}>
              {warning}
            </p>
          ))}
          {found.pending && <Skeleton rows={14} />}
          {found.rows.length > 0 && (
            <Table
              found={found}
              columns={columns.shown}
              loaded={loaded}
              search={search}
              change={change}
              selection={selection}
              select={setSelection}
            />
          )}
          {found.error !== null && !refused && <Problem error={found.error} retry={found.retry} />}
          {!found.pending && found.error === null && found.rows.length === 0 && (
            <Nothing filtered={!!search.q} change={change} />
          )}
          {!archive && (
            <BulkBar filter={filter} rows={loaded} selection={selection} select={setSelection} />
          )}
        </section>
      </div>
    </>
  );
}

/** The search with other values; a list of another workflow has columns of its own. */
function changed(before: ListSearch, values: Partial<ListSearch>): ListSearch {
  const after = { ...before, ...values };
  const same = workflowOf(before.q ?? "") === workflowOf(after.q ?? "");
  return same ? after : { ...after, columns: values.columns };
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
      <Empty title={say("executions.noMatch")}>
        <p>{say("executions.noMatchHint")}</p>
        <p>
          <button
            type="button"
            className={styles.textButton}
            onClick={() => change({ q: undefined })}
          >
            {say("executions.clear")}
          </button>
          {say("executions.or")}
          <button
            type="button"
            className={styles.textButton}
            onClick={() => change({ range: "all", from: undefined, to: undefined })}
          >
            {say("executions.searchAll")}
          </button>
        </p>
      </Empty>
    );
  }
  return (
    <Empty title={say("executions.none")}>
      <p>{say("executions.noneHint")}</p>
      <code>{"flowmesh start WORKFLOW --input '{}'"}</code>
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
      client.setQueriesData<ExecutionList>({ queryKey: ROWS }, (page) =>
        page?.executions.some((row) => statuses.has(row.executionId))
          ? { ...page, executions: page.executions.map((row) => changedRow(row, statuses)) }
          : page,
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
