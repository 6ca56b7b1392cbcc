import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { read } from "@/api/client";
import { useTopic, useTopics } from "@/api/topics";
import { Empty, Skeleton, Time } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Status } from "@/design/status";
import { titleOf } from "@/model/approvals";
import { quoted } from "@/model/filter";
import { say } from "@/model/messages";
import styles from "./page.module.css";

const SHOWN = 8;
const DAY = 'started > "-24h"';

/** What a person has to decide, what waits for a worker, and the failures of the day. */
export function Attention() {
  const held = useGroups("held", "needs IN (hold, breakpoint)", ["workflow", "needs"]);
  const failures = useGroups("failures", `status = failed AND ${DAY}`, ["workflow", "error.class"]);
  const approvals = useQuery({
    queryKey: ["home", "approvals"],
    queryFn: ({ signal }) => read("/api/v1/approvals", { query: { pageSize: SHOWN }, signal }),
  });
  const unserved = useUnserved();
  const asked = approvals.data?.approvals ?? [];
  const queries = [held, failures, approvals];
  const loaded = queries.every((each) => each.isSuccess);
  const failed = queries.find((each) => each.isError);
  const groups = [held, failures].flatMap((each) => each.data?.groups ?? []);
  return (
    <section className={styles.panel}>
      <header>
        <h2>{say("home.attention")}</h2>
      </header>
      {!loaded && !failed && <Skeleton rows={4} />}
      {failed && <Problem error={failed.error} />}
      {loaded && groups.length + asked.length + unserved.length === 0 && (
        <Empty title={say("home.calm")}>
          <p>{say("home.calmHint")}</p>
        </Empty>
      )}
      <ul>
        {held.data?.groups.slice(0, SHOWN).map(({ values, count }) => {
          const { workflow = "", needs = "" } = values;
          return (
            <li key={`${workflow} ${needs}`}>
              <Link
                to="/executions"
                search={{ q: `workflow = ${quoted(workflow)} AND needs = ${needs}`, range: "all" }}
                className={styles.row}
              >
                <Status status={needs === "hold" ? "onHold" : "stopped"} />
                <bdi className="truncate">{workflow}</bdi>
                <span className="muted truncate">
                  {say(needs === "hold" ? "home.onHold" : "home.stopped")}
                </span>
                <span className="numbers">{say("home.times", { count })}</span>
              </Link>
            </li>
          );
        })}
        {asked.map((one) => (
          <li key={`${one.executionId} ${one.task}`}>
            <Link
              to="/approvals"
              search={{ chosen: `${one.executionId}/${one.task}` }}
              className={styles.row}
            >
              <Status status="asking" />
              <bdi className="truncate">{titleOf(one)}</bdi>
              <span className="muted truncate">{one.workflow}</span>
              <span className="muted">
                <Time at={one.askedAt} />
              </span>
            </Link>
          </li>
        ))}
        {unserved.map(({ queue, taskType, ready }) => (
          <li key={`${queue} ${taskType}`}>
            <Link to="/queues" className={styles.row}>
              <Status status="waiting" />
              <bdi className="truncate">{taskType}</bdi>
              <span className="muted truncate">{say("home.noWorker", { queue })}</span>
              <span className="numbers">{say("home.tasks", { count: ready })}</span>
            </Link>
          </li>
        ))}
        {failures.data?.groups.slice(0, SHOWN).map(({ values, count }) => {
          const { workflow = "", "error.class": error = "" } = values;
          const filter = `status = failed AND workflow = ${quoted(workflow)}`;
          return (
            <li key={`${workflow} ${error}`}>
              <Link
                to="/executions"
                search={{
                  q: error ? `${filter} AND error.class = ${quoted(error)}` : filter,
                  range: "24h",
                }}
                className={styles.row}
              >
                <Status status="failed" />
                <bdi className="truncate">{workflow}</bdi>
                <span className="muted truncate">{error}</span>
                <span className="numbers">{say("home.times", { count })}</span>
              </Link>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

/** Executions that match a filter, counted by two of their values. */
function useGroups(name: string, filter: string, groupBy: string[]) {
  return useQuery({
    queryKey: ["home", name],
    queryFn: ({ signal }) =>
      read("/api/v1/executions:count", { query: { filter, groupBy }, signal }),
  });
}

/** Queues whose tasks no worker takes, the longest first. */
function useUnserved() {
  useTopics(["queues"]);
  const { data } = useTopic("queues");
  return (data?.queues ?? [])
    .filter(({ ready, workerSets }) => ready > 0 && workerSets === 0)
    .sort((left, right) => right.ready - left.ready)
    .slice(0, SHOWN);
}
