import "../../../messages/pages";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { read } from "@/api/client";
import { useFresh } from "@/api/fresh";
import { PageHeader } from "@/app/pageHeader";
import frame from "@/design/page.module.css";
import { Elapsed, Time } from "@/design/primitives";
import { Loading, Problem } from "@/design/problem";
import { Status, StatusMark } from "@/design/status";
import { count } from "@/model/durations";
import { say } from "@/model/messages";
import { listedStatus, lookOf } from "@/model/status";
import { Attention } from "./attention";
import styles from "./page.module.css";

const REFRESH_MS = 1_000;
const SHOWN = 8;

/** What needs a person now, the counts of a day, and the newest executions. */
export function HomePage() {
  useFresh("home", REFRESH_MS);
  const recent = useQuery({
    queryKey: ["home", "recent"],
    queryFn: ({ signal }) =>
      read("/api/v1/executions", { query: { include: "search", pageSize: SHOWN }, signal }),
  });
  const first = recent.isSuccess && recent.data.executions.length === 0;
  return (
    <>
      <PageHeader title={say("home.title")} />
      <div className={`${frame.framed} ${styles.page}`}>
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
                <Loading query={recent} rows={SHOWN} />
                <ul>
                  {recent.data?.executions.map((row) => (
                    <li key={row.executionId}>
                      <Link
                        to="/executions/$executionId"
                        params={{ executionId: row.executionId }}
                        className={styles.row}
                      >
                        <Status status={listedStatus(row)} />
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

function FirstRun() {
  return (
    <section className={styles.first}>
      <h2>{say("home.first")}</h2>
      <p>{say("home.firstHint")}</p>
      <p className={`${styles.ways} boxed-links`}>
        <Link to="/workflows/new">{say("home.build")}</Link>
        <Link to="/templates">{say("home.templates")}</Link>
      </p>
      <p>{say("home.firstCommand")}</p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls is reached by keys */}
      <pre role="group" aria-label={say("home.firstCommand")} tabIndex={0}>
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
