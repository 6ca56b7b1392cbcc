import "../../../messages/builder";
import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { read } from "@/api/client";
import { useFresh } from "@/api/fresh";
import type { WorkflowSummary, WorkflowSummaryList } from "@/api/schema";
import { useKeys } from "@/app/keys";
import { PageHeader } from "@/app/pageHeader";
import { Button, Empty, Skeleton, Time } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { StatusMark } from "@/design/status";
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
                className={styles.search}
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
      <div className={styles.page}>
        {query.isPending && <Skeleton rows={10} />}
        {query.isError && <Problem error={query.error} retry={() => void query.refetch()} />}
        {query.isSuccess && rows.length === 0 && <Nothing filtered={!!q} />}
        {rows.length > 0 && <Table rows={rows} />}
        {query.hasNextPage && (
          <Button className={styles.more} onClick={() => void query.fetchNextPage()}>
            Show more
          </Button>
        )}
      </div>
    </>
  );
}

function Table({ rows }: { rows: readonly WorkflowSummary[] }) {
  return (
    <table className={styles.table}>
      <thead>
        <tr>
          <th>Workflow</th>
          <th>Last {STRIP} executions, newest right</th>
          <th>7 days</th>
          <th>Success</th>
          <th>p95</th>
          <th>Triggers</th>
          <th>Version</th>
          <th>Changed</th>
          <th>{say("workflow.open")}</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <Row key={row.name} row={row} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ row }: { row: WorkflowSummary }) {
  const total = Object.values(row.executions).reduce((sum, each) => sum + each, 0);
  const failed = row.executions.failed ?? 0;
  const ended = (row.executions.completed ?? 0) + failed;
  return (
    <tr>
      <td className={styles.name}>
        <Link to="/executions" search={{ q: `workflow = ${quoted(row.name)}` }}>
          <bdi>{row.title ?? row.name}</bdi>
        </Link>
        {row.title && row.title !== row.name && <code className="muted">{row.name}</code>}
      </td>
      <td>
        <span className={styles.strip}>
          {[...row.recent].reverse().map((each) => (
            <Link
              key={each.executionId}
              to="/executions/$executionId"
              params={{ executionId: each.executionId }}
              title={`${lookOf(each.status).word}: ${each.executionId}`}
            >
              <StatusMark status={each.status} named />
            </Link>
          ))}
          {row.recent.length === 0 && <span className="muted">never started</span>}
        </span>
      </td>
      <td className="numbers">{count(total)}</td>
      <td className="numbers">
        {ended > 0 ? `${Math.floor(((ended - failed) / ended) * 1_000) / 10} %` : "–"}
      </td>
      <td className="numbers">{row.p95Ms ? duration(row.p95Ms) : "–"}</td>
      <td className="numbers">{row.triggers || "–"}</td>
      <td className="numbers">{row.version}</td>
      <td className="muted">
        <Time at={row.createdAt} />
      </td>
      <td>
        <Link to="/workflows/$workflowId" params={{ workflowId: row.name }}>
          {say("workflow.details")}
        </Link>{" "}
        <Link to="/workflows/$workflowId/edit" params={{ workflowId: row.name }}>
          {say("workflow.edit")}
        </Link>
      </td>
    </tr>
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
