import "../../../messages/builder";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState } from "react";
import { read } from "@/api/client";
import { useFresh } from "@/api/fresh";
import type { WorkflowSummary, WorkflowSummaryList } from "@/api/schema";
import { useKeys } from "@/app/keys";
import { PageHeader } from "@/app/pageHeader";
import frame from "@/design/page.module.css";
import { Button, Empty, Time } from "@/design/primitives";
import { Loading } from "@/design/problem";
import { type Column, DataTable } from "@/design/table";
import { DraftList } from "@/editing/draftList";
import { RunButton } from "@/launch/runButton";
import { count, duration } from "@/model/durations";
import { quoted } from "@/model/filter";
import { say } from "@/model/messages";
import { otherLabels, teamOf } from "@/model/team";
import { orderOf, type WorkflowOrder } from "@/model/workflowOrder";
import type { Draft } from "@/text/drafts";
import styles from "./page.module.css";
import { BARS, Recent } from "./recent";

const route = getRouteApi("/workflows");
const PAGE_SIZE = 50;
const REFRESH_MS = 2_000;
const TRIGGERS_READ = 500;

/** Workflows with their last executions, and the counts and durations of seven days. */
export function WorkflowsPage() {
  const search = route.useSearch();
  const { q } = search;
  const navigate = route.useNavigate();
  const [text, setText] = useState(q ?? "");
  const input = useRef<HTMLInputElement>(null);
  useKeys("everywhere", { "/": () => input.current?.focus() });
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
  const { hasNextPage, isFetching, fetchNextPage } = query;
  const { order = "name" } = search;
  // An order needs all rows; the server has them by name.
  useEffect(() => {
    if (order !== "name" && hasNextPage && !isFetching) void fetchNextPage();
  }, [order, hasNextPage, isFetching, fetchNextPage]);
  const next = useNextRuns();
  const rows = useMemo(() => {
    const all = query.data?.pages.flatMap((page) => page.workflows) ?? [];
    return order === "name" ? all : all.toSorted(ORDERS[order]);
  }, [query.data, order]);
  const teams = rows.some((each) => teamOf(each.labels));
  const columns = useMemo(() => columnsOf(next, teams), [next, teams]);
  const resume = ({ id, workflow }: Draft) => {
    const search = { draft: id };
    if (!workflow) void navigate({ to: "/workflows/new", search });
    else {
      const params = { workflowId: workflow };
      void navigate({ to: "/workflows/$workflowId/edit", params, search });
    }
  };
  return (
    <>
      <PageHeader
        title="Workflows"
        actions={
          <>
            <Link to="/tasks">{say("library.short")}</Link>
            <Link to="/templates">{say("library.templates")}</Link>
            <select
              className={frame.select}
              aria-label={say("workflows.order")}
              value={order}
              onChange={({ target }) =>
                void navigate({ search: { q, order: orderOf(target.value) } })
              }
            >
              <option value="name">{say("workflows.byName")}</option>
              <option value="runs">{say("workflows.byRuns")}</option>
              <option value="failures">{say("workflows.byFailures")}</option>
              <option value="slowest">{say("workflows.bySlowest")}</option>
              <option value="changed">{say("workflows.byChanged")}</option>
            </select>
            <form
              onSubmit={(event) => {
                event.preventDefault();
                void navigate({ search: { order: search.order, q: text.trim() || undefined } });
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
        <div className={styles.drafts}>
          <DraftList unnamed={say("builder.unnamed")} resume={resume} />
        </div>
        <Loading query={query} rows={10} />
        {query.isSuccess && rows.length === 0 && <Nothing filtered={!!q} />}
        {rows.length > 0 && (
          <DataTable
            className={frame.rows}
            columns={columns}
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

/** The next run of each workflow by its triggers, as far as they have times. */
function useNextRuns(): ReadonlyMap<string, string> {
  const { data } = useQuery({
    queryKey: ["workflows", "next"],
    queryFn: ({ signal }) =>
      read("/api/v1/triggers", { query: { pageSize: TRIGGERS_READ }, signal }),
  });
  return useMemo(() => {
    const next = new Map<string, string>();
    for (const { workflow, nextAt, paused } of data?.triggers ?? []) {
      const known = next.get(workflow);
      if (nextAt && !paused && (!known || nextAt < known)) next.set(workflow, nextAt);
    }
    return next;
  }, [data]);
}

function columnsOf(
  next: ReadonlyMap<string, string>,
  teams: boolean,
): readonly Column<WorkflowSummary>[] {
  const team: Column<WorkflowSummary> = {
    head: say("workflows.team"),
    as: "text",
    cell: ({ labels }) => teamOf(labels) ?? "–",
  };
  return [
    {
      head: "Workflow",
      className: styles.name,
      title: ({ description }) => description,
      cell: ({ name, title, labels, description }) => (
        <>
          <Link to="/executions" search={{ q: `workflow = ${quoted(name)}` }}>
            <bdi>{title ?? name}</bdi>
          </Link>
          {title && title !== name && <code className="muted">{name}</code>}
          {otherLabels(labels).map(([label, value]) => (
            <span key={label} className={styles.label} title={`${label}: ${value}`}>
              <bdi>{value}</bdi>
            </span>
          ))}
          {description && <small className="muted truncate">{description}</small>}
        </>
      ),
    },
    ...(teams ? [team] : []),
    { head: `Last ${BARS} runs`, cell: (row) => <Recent recent={row.recent} /> },
    { head: "7 days", as: "numbers", cell: (row) => count(runs(row)) },
    { head: "Success", as: "numbers", cell: (row) => success(row.executions) },
    { head: "p95", as: "numbers", cell: (row) => (row.p95Ms ? duration(row.p95Ms) : "–") },
    { head: "Triggers", as: "numbers", cell: (row) => row.triggers || "–" },
    {
      head: "Next run",
      as: "muted",
      cell: ({ name }) => (next.has(name) ? <Time at={next.get(name)} /> : "–"),
    },
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
}

function runs({ executions }: WorkflowSummary): number {
  return Object.values(executions).reduce((sum, each) => sum + each, 0);
}

type Order = (left: WorkflowSummary, right: WorkflowSummary) => number;

const ORDERS: Record<Exclude<WorkflowOrder, "name">, Order> = {
  runs: (left, right) => runs(right) - runs(left),
  failures: (left, right) => (right.executions.failed ?? 0) - (left.executions.failed ?? 0),
  slowest: (left, right) => (right.p95Ms ?? 0) - (left.p95Ms ?? 0),
  changed: (left, right) => right.createdAt.localeCompare(left.createdAt),
};

function success({ completed = 0, failed = 0 }: WorkflowSummary["executions"]): string {
  const ended = completed + failed;
  return ended > 0 ? `${Math.floor((completed / ended) * 1_000) / 10} %` : "–";
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
