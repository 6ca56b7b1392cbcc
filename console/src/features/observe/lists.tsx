import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { read } from "@/api/client";
import { usePages } from "@/api/pages";
import type { CountGroup, ExecutionSummary, KeptCall, KeptLog } from "@/api/schema";
import { Listing } from "@/design/listing";
import { Button, TextField, Time } from "@/design/primitives";
import { Status } from "@/design/status";
import { type Column, Table } from "@/design/table";
import { count, duration } from "@/model/durations";
import { quoted } from "@/model/filter";
import { say } from "@/model/messages";
import { ValueTree } from "@/values/valueTree";
import styles from "./page.module.css";
import { betweenText, executionsOf, type Span } from "./span";
import { Tail } from "./tail";

const SLOWEST = 10;
const LATEST = 200;
/** Calls that started an execution are kept too. */
const UNUSUAL = '(code != OK OR duration >= "500ms")';

interface Props {
  span: Span;
  workflow: string | undefined;
}

/** The slowest of the latest ended executions of the time, each with links to its records. */
export function Slowest({ span, workflow }: Props) {
  const filter = executionsOf(span, workflow);
  const { data } = useQuery({
    queryKey: ["observe", "slowest", filter],
    queryFn: ({ signal }) =>
      read("/api/v1/executions", {
        query: { filter: `duration >= 0 AND ${filter}`, pageSize: LATEST },
        signal,
      }),
    placeholderData: (before) => before,
  });
  if (!data?.executions.length) return null;
  const slowest = data.executions.toSorted(
    (left, right) => (right.durationMs ?? 0) - (left.durationMs ?? 0),
  );
  return (
    <Table
      title={say("observe.slowest")}
      columns={EXECUTIONS}
      rows={slowest.slice(0, SLOWEST)}
      keyOf={(each) => each.executionId}
    />
  );
}

const EXECUTIONS: readonly Column<ExecutionSummary>[] = [
  { head: say("observe.execution"), cell: (each) => <Execution id={each.executionId} /> },
  { head: say("observe.workflow"), as: "text", cell: (each) => each.workflow },
  { head: say("observe.status"), cell: (each) => <Status status={each.status} /> },
  {
    head: say("observe.duration"),
    as: "numbers",
    cell: ({ durationMs }) => (durationMs === undefined ? "–" : duration(durationMs)),
  },
  {
    head: say("observe.its"),
    cell: ({ executionId: id }) => (
      <>
        <Link
          from="/observe"
          to="/observe"
          search={(before) => ({ ...before, execution: id, trace: undefined })}
          aria-label={say("observe.requestOf", { id })}
        >
          {say("observe.request")}
        </Link>{" "}
        <Link
          from="/observe"
          to="/observe"
          search={(before) => ({ ...before, q: `execution = ${quoted(id)}` })}
          aria-label={say("observe.logsOf", { id })}
        >
          {say("observe.logs")}
        </Link>
      </>
    ),
  },
];

function Execution({ id }: { id: string }) {
  return (
    <Link to="/executions/$executionId" params={{ executionId: id }}>
      <bdi>{id}</bdi>
    </Link>
  );
}

/** Failures of the time by workflow and version. */
export function Versions({ span, workflow }: Props) {
  const filter = `status = failed AND ${executionsOf(span, workflow)}`;
  const { data } = useQuery({
    queryKey: ["observe", "versions", filter],
    queryFn: ({ signal }) =>
      read("/api/v1/executions:count", {
        query: { filter, groupBy: ["workflow", "version"] },
        signal,
      }),
    placeholderData: (before) => before,
  });
  if (!data?.groups.length) return null;
  const { from, to } = betweenText(span.from, span.to);
  const columns: readonly Column<CountGroup>[] = [
    { head: say("observe.workflow"), as: "text", cell: ({ values }) => values.workflow },
    { head: say("observe.version"), as: "numbers", cell: ({ values }) => values.version },
    {
      head: say("observe.failed"),
      as: "numbers",
      cell: ({ values, count: number }) => {
        const of = `workflow = ${quoted(values.workflow ?? "")} AND version = ${values.version}`;
        return (
          <Link to="/executions" search={{ q: `status = failed AND ${of}`, from, to }}>
            {count(number)}
          </Link>
        );
      },
    },
  ];
  return (
    <Table
      title={say("observe.versions")}
      columns={columns}
      rows={data.groups}
      keyOf={({ values }) => `${values.workflow} ${values.version}`}
    />
  );
}

interface LogProps {
  span: Span;
  filter: string;
  change: (filter: string) => void;
}

/** Log records of the time, or the newest ones as they come. */
export function Logs({ span, filter, change }: LogProps) {
  const [live, setLive] = useState(false);
  const { from, to } = betweenText(span.from, span.to);
  const time = `time >= "${from}" AND time < "${to}"`;
  const whole = [filter && `(${filter})`, time].filter(Boolean).join(" AND ");
  const { query, rows } = usePages(["observe", "logs", whole], async (pageToken, signal) => {
    const asked = { filter: whole, pageToken };
    const page = await read("/api/v1/observe/logs", { query: asked, signal });
    return { rows: page.logs, next: page.nextPageToken };
  });
  const typed = (
    <TextField label={say("observe.filter")} value={filter} change={(value) => change(value)} />
  );
  return (
    <section aria-label={say("observe.logs")} className={styles.part}>
      <search className={styles.filters}>
        {typed}
        <Button aria-pressed={live} onClick={() => setLive(!live)}>
          {say("observe.live")}
        </Button>
      </search>
      {live ? (
        <Tail filter={filter} />
      ) : (
        <Listing
          query={query}
          none={say("observe.noLogs")}
          noneHint={say("observe.noLogsHint")}
          title={say("observe.logs")}
          columns={LOGS}
          rows={rows}
          keyOf={(each) => each.position}
        />
      )}
    </section>
  );
}

function Trace({ id }: { id: string | undefined }) {
  if (!id) return "–";
  return (
    <Link
      from="/observe"
      to="/observe"
      search={(before) => ({
        ...before,
        trace: id,
        execution: undefined,
        q: `trace = ${quoted(id)}`,
      })}
      title={id}
    >
      <bdi>{id.slice(0, 8)}</bdi>
    </Link>
  );
}

export const LOGS: readonly Column<KeptLog>[] = [
  { head: say("observe.at"), as: "muted", cell: (each) => <Time at={each.at} /> },
  { head: say("observe.level"), as: "text", cell: (each) => each.level },
  { head: say("observe.service"), as: "text", cell: (each) => each.service },
  { head: say("observe.event"), as: "code", cell: (each) => each.event },
  {
    head: say("observe.execution"),
    cell: ({ executionId }) => (executionId ? <Execution id={executionId} /> : "–"),
  },
  { head: say("observe.trace"), cell: ({ traceId }) => <Trace id={traceId} /> },
  { head: "fields", cell: ({ fields }) => <ValueTree value={fields} root="fields" /> },
];

interface CallProps {
  span: Span;
  trace: string | undefined;
}

/** Slow and failed calls of the time, or those of one trace. */
export function Calls({ span, trace }: CallProps) {
  const { from, to } = betweenText(span.from, span.to);
  const filter = trace
    ? `trace = ${quoted(trace)}`
    : `${UNUSUAL} AND time >= "${from}" AND time < "${to}"`;
  const { query, rows } = usePages(["observe", "calls", filter], async (pageToken, signal) => {
    const page = await read("/api/v1/observe/calls", { query: { filter, pageToken }, signal });
    return { rows: page.calls, next: page.nextPageToken };
  });
  return (
    <Listing
      query={query}
      none={say("observe.noCalls")}
      noneHint={say("observe.noCallsHint")}
      title={say("observe.touched")}
      columns={CALLS}
      rows={rows}
      keyOf={(each) => each.position}
    />
  );
}

const CALLS: readonly Column<KeptCall>[] = [
  { head: say("observe.at"), as: "muted", cell: (each) => <Time at={each.at} /> },
  {
    head: say("observe.call"),
    as: "code",
    cell: ({ service, method }) => `${service}.${method}`,
  },
  { head: say("observe.code"), as: "text", cell: (each) => each.code },
  {
    head: say("observe.duration"),
    as: "numbers",
    cell: ({ durationMs }) => duration(durationMs),
  },
  {
    head: say("observe.execution"),
    cell: ({ executionId }) => (executionId ? <Execution id={executionId} /> : "–"),
  },
  { head: say("observe.trace"), cell: ({ traceId }) => <Trace id={traceId} /> },
];
