import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { read } from "@/api/client";
import { useFresh } from "@/api/fresh";
import { PageHeader } from "@/app/pageHeader";
import { Elapsed, Empty, Skeleton, Time } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Status, StatusMark } from "@/design/status";
import { count } from "@/model/durations";
import { say } from "@/model/messages";
import { lookOf } from "@/model/status";
import styles from "./page.module.css";

const REFRESH_MS = 1_000;
const SHOWN = 8;

/** What needs a person now, the counts of a day, and the newest executions. */
export function HomePage() {
  useFresh("home", REFRESH_MS);
  const recent = useQuery({
    queryKey: ["home", "recent"],
    queryFn: ({ signal }) => read("/api/v1/executions", { query: { pageSize: SHOWN }, signal }),
  });
  const first = recent.isSuccess && recent.data.executions.length === 0;
  return (
    <>
      <PageHeader title={say("home.title")} />
      <div className={styles.page}>
        {first ? (
          <FirstRun />
        ) : (
          <>
            <Counts />
            <div className={styles.columns}>
              <Attention />
              <section className={styles.panel}>
                <header>
                  <h2>{say("home.newest")}</h2>
                  <Link to="/executions">{say("home.all")}</Link>
                </header>
                {recent.isPending && <Skeleton rows={SHOWN} />}
                {recent.isError && (
                  <Problem error={recent.error} retry={() => void recent.refetch()} />
                )}
                <ul>
                  {recent.data?.executions.map((row) => (
                    <li key={row.executionId}>
                      <Link
                        to="/executions/$executionId"
                        params={{ executionId: row.executionId }}
                        className={styles.row}
                      >
                        <Status status={row.status} />
                        <bdi className="truncate">{row.workflowName}</bdi>
                        <Elapsed from={row.startedAt} to={row.endedAt} />
                        <span className="muted">
                          <Time at={row.startedAt} />
                        </span>
                      </Link>
                    </li>
                  ))}
                </ul>
              </section>
            </div>
          </>
        )}
      </div>
    </>
  );
}

const COUNTED = ["running", "completed", "failed", "paused"];

/** Executions of the last 24 hours by status. */
function Counts() {
  const { data, isError, error } = useQuery({
    queryKey: ["home", "counts"],
    queryFn: ({ signal }) =>
      read("/api/v1/executions:count", {
        query: { filter: 'started > "-24h"', groupBy: ["status"] },
        signal,
      }),
  });
  if (isError) return <Problem error={error} />;
  const of = (status: string) =>
    data?.groups.find((group) => group.values.status === status)?.count ?? 0;
  return (
    <section aria-label={say("home.day")} className={styles.counts}>
      {COUNTED.map((status) => (
        <Link
          key={status}
          to="/executions"
          search={{ q: `status = ${status}`, range: "24h" }}
          className={styles.count}
          data-family={lookOf(status).family}
        >
          <span>
            <StatusMark status={status} />
            {lookOf(status).word}
          </span>
          <strong className="numbers">{data ? count(of(status)) : "–"}</strong>
          <small>{say("home.inDay")}</small>
        </Link>
      ))}
    </section>
  );
}

/** Failures of the day by class, and approvals that wait. */
function Attention() {
  const failures = useQuery({
    queryKey: ["home", "failures"],
    queryFn: ({ signal }) =>
      read("/api/v1/executions:count", {
        query: {
          filter: 'status = failed AND started > "-24h"',
          groupBy: ["workflow", "error.class"],
        },
        signal,
      }),
  });
  const approvals = useQuery({
    queryKey: ["home", "approvals"],
    queryFn: ({ signal }) => read("/api/v1/approvals", { query: { pageSize: SHOWN }, signal }),
  });
  const groups = failures.data?.groups.slice(0, SHOWN) ?? [];
  const waiting = approvals.data?.approvals ?? [];
  const loaded = failures.isSuccess && approvals.isSuccess;
  return (
    <section className={styles.panel}>
      <header>
        <h2>{say("home.attention")}</h2>
      </header>
      {!loaded && !failures.isError && <Skeleton rows={4} />}
      {failures.isError && <Problem error={failures.error} />}
      {loaded && groups.length === 0 && waiting.length === 0 && (
        <Empty title={say("home.calm")}>
          <p>{say("home.calmHint")}</p>
        </Empty>
      )}
      <ul>
        {waiting.map((one) => (
          <li key={`${one.executionId} ${one.task}`}>
            <Link
              to="/executions/$executionId"
              params={{ executionId: one.executionId }}
              search={{ node: one.task }}
              className={styles.row}
            >
              <Status status="asking" />
              <bdi className="truncate">{one.name || one.task}</bdi>
              <span className="muted truncate">{one.workflow}</span>
              <span className="muted">
                <Time at={one.askedAt} />
              </span>
            </Link>
          </li>
        ))}
        {groups.map((group) => {
          const { workflow = "", "error.class": error = "" } = group.values;
          const filter = `status = failed AND workflow = "${workflow}"`;
          return (
            <li key={`${workflow} ${error}`}>
              <Link
                to="/executions"
                search={{
                  q: error ? `${filter} AND error.class = "${error}"` : filter,
                  range: "24h",
                }}
                className={styles.row}
              >
                <Status status="failed" />
                <bdi className="truncate">{workflow}</bdi>
                <span className="muted truncate">{error}</span>
                <span className="numbers">{say("home.times", { count: group.count })}</span>
              </Link>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function FirstRun() {
  return (
    <section className={styles.first}>
      <h2>{say("home.first")}</h2>
      <p>{say("home.firstHint")}</p>
      <pre>
        <code>{FIRST}</code>
      </pre>
      <p className="muted">{say("home.firstLive")}</p>
    </section>
  );
}

const FIRST = `cat > hello.yaml <<'END'
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: hello}
spec:
  tasks:
    - id: shout
      taskRef: transform
      input: {source: "Hello {{input.name}}", pipeline: [{operation: uppercase}]}
  output: {said: "{{tasks.shout.output}}"}
END
flowmesh apply -f hello.yaml
flowmesh start hello --input '{"name": "Ada"}'`;
