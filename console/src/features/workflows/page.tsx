import "../../../messages/builder";
import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { read } from "@/api/client";
import { useFresh } from "@/api/fresh";
import type { WorkflowSummary, WorkflowSummaryList } from "@/api/schema";
import { useKeys } from "@/app/keys";
import { PageHeader } from "@/app/pageHeader";
import frame from "@/design/page.module.css";
import { Button, Empty, Time } from "@/design/primitives";
import { Loading } from "@/design/problem";
import { StatusMark } from "@/design/status";
import { type Column, DataTable } from "@/design/table";
import { RunButton } from "@/launch/runButton";
import { count, duration } from "@/model/durations";
import { quoted } from "@/model/filter";
import { say } from "@/model/messages";
import { lookOf } from "@/model/status";
import styles from "./page.module.css";

const route = getRouteApi("/workflows");
const PAGE_SIZE = 50;
const REFRESH_MS = 2_000;
const STRIP = 20;

/** Workflows with their last executions, and the counts and durations of seven days. */
export function WorkflowsPage() {
  const { q } = route.useSearch();
  const navigate = route.useNavigate();
  const [text, setText] = useState(q ?? "");
  const input = useRef<HTMLInputElement>(null);
  useKeys({ "/": () => input.current?.focus() });
  useFresh("workflows", REFRESH_MS);
  const filter = q ? `id:${q.replace(/[^A-Za-z0-9._:-]/g, "")}*` : undefined;
  const query = useInfiniteQuery({
    queryKey: ["workflows", "summary", filter ?? ""],
    queryFn: async ({ pageParam, signal }) =>
      (await read("/api/v1/workflows", {
        query: { view: "summary", filter, pageSize: PAGE_SIZE, pageToken: pageParam },
        signal,
      })) as WorkflowSummaryList,
    initialPageParam: "",
    getNextPageParam: (last) => last.nextPageToken || undefined,
    placeholderData: (before) => before,
  });
  const rows = query.data?.pages.flatMap((page) => page.workflows) ?? [];
  return (
    <>
      <PageHeader
        title="Workflows"
        actions={
          <>
            <Link to="/tasks">{say("library.short")}</Link>
            <Link to="/templates">{say("library.templates")}</Link>
            <form
              onSubmit={(event) => {
                event.preventDefault();
                void navigate({ search: { q: text.trim() || undefined } });
              }}
            >
              <input
                ref={input}
                type="search"
                className={frame.search}
                aria-label="Find workflows by the beginning of their id"
                placeholder="Find by id"
                value={text}
                onChange={(event) => setText(event.target.value)}
              />
            </form>
            <Button kind="primary" onClick={() => void navigate({ to: "/workflows/new" })}>
              {say("builder.new")}
            </Button>
          </>
        }
      />
      <div className={frame.whole}>
        <Loading query={query} rows={10} />
        {query.isSuccess && rows.length === 0 && <Nothing filtered={!!q} />}
        {rows.length > 0 && (
          <DataTable
            className={frame.rows}
            columns={COLUMNS}
            rows={rows}
            keyOf={(each) => each.name}
          />
        )}
        {query.hasNextPage && (
          <Button className={frame.more} onClick={() => void query.fetchNextPage()}>
            Show more
          </Button>
        )}
      </div>
    </>
  );
}

const COLUMNS: readonly Column<WorkflowSummary>[] = [
  {
    head: "Workflow",
    className: styles.name,
    cell: ({ name, title }) => (
      <>
        <Link to="/executions" search={{ q: `workflow = ${quoted(name)}` }}>
          <bdi>{title ?? name}</bdi>
        </Link>
        {title && title !== name && <code className="muted">{name}</code>}
      </>
    ),
  },
  { head: `Last ${STRIP} executions, newest right`, cell: (row) => <Strip row={row} /> },
  {
    head: "7 days",
    as: "numbers",
    cell: (row) => count(Object.values(row.executions).reduce((sum, each) => sum + each, 0)),
  },
  { head: "Success", as: "numbers", cell: (row) => success(row.executions) },
  { head: "p95", as: "numbers", cell: (row) => (row.p95Ms ? duration(row.p95Ms) : "–") },
  { head: "Triggers", as: "numbers", cell: (row) => row.triggers || "–" },
  { head: "Version", as: "numbers", cell: (row) => row.version },
  { head: "Changed", as: "muted", cell: (row) => <Time at={row.createdAt} /> },
  {
    head: say("workflow.open"),
    className: styles.open,
    cell: ({ name }) => (
      <>
        <RunButton workflow={name} small />{" "}
        <Link to="/workflows/$workflowId" params={{ workflowId: name }}>
          {say("workflow.details")}
        </Link>{" "}
        <Link to="/workflows/$workflowId/edit" params={{ workflowId: name }}>
          {say("workflow.edit")}
        </Link>
      </>
    ),
  },
];

function success({ completed = 0, failed = 0 }: WorkflowSummary["executions"]): string {
  const ended = completed + failed;
  return ended > 0 ? `${Math.floor((completed / ended) * 1_000) / 10} %` : "–";
}

function Strip({ row }: { row: WorkflowSummary }) {
  return (
    <span className={styles.strip}>
      {[...row.recent].reverse().map(({ executionId, status }) => (
        <Link
          key={executionId}
          to="/executions/$executionId"
          params={{ executionId }}
          title={`${lookOf(status).word}: ${executionId}`}
        >
          <StatusMark status={status} named />
        </Link>
      ))}
      {row.recent.length === 0 && <span className="muted">never started</span>}
    </span>
  );
}

function Nothing({ filtered }: { filtered: boolean }) {
  if (filtered) {
    return (
      <Empty title="No workflow has such an id">
        <Link to="/workflows">Show all workflows</Link>
      </Empty>
    );
  }
  return (
    <Empty title="No workflows yet">
      <p>
        <Link to="/workflows/new">{say("builder.new")}</Link>
      </p>
      <p>Or register one:</p>
      <code>flowmesh apply -f workflow.yaml</code>
    </Empty>
  );
}
