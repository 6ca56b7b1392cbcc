import { useQuery } from "@tanstack/react-query";
import { Link, type LinkProps } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { read } from "@/api/client";
import { useTopic, useTopics } from "@/api/topics";
import { Empty, Skeleton, Time } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Status } from "@/design/status";
import { titleOf } from "@/model/approvals";
import { duration } from "@/model/durations";
import { quoted } from "@/model/filter";
import { lateOf } from "@/model/late";
import { say } from "@/model/messages";
import { useLate } from "./late";
import styles from "./page.module.css";

const SHOWN = 8;
const DAY = 'started > "-24h"';

/** What a person has to decide, what is late or waits for a worker, and the failures of the day. */
export function Attention() {
  const held = useGroups("held", "needs IN (hold, breakpoint)", ["workflow", "needs"]);
  const failures = useGroups("failures", `status = failed AND ${DAY}`, ["workflow", "error.class"]);
  const approvals = useQuery({
    queryKey: ["home", "approvals"],
    queryFn: ({ signal }) => read("/api/v1/approvals", { query: { pageSize: SHOWN }, signal }),
  });
  const unserved = useUnserved();
  const late = useLate();
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
      {loaded && groups.length + asked.length + unserved.length + late.length === 0 && (
        <Empty title={say("home.calm")}>
          <p>{say("home.calmHint")}</p>
        </Empty>
      )}
      <ul>
        {held.data?.groups.slice(0, SHOWN).map(({ values, count }) => {
          const { workflow = "", needs = "" } = values;
          return (
            <Entry
              key={`${workflow} ${needs}`}
              to="/executions"
              search={{ q: `workflow = ${quoted(workflow)} AND needs = ${needs}`, range: "all" }}
              status={needs === "hold" ? "onHold" : "stopped"}
              name={workflow}
              what={say(needs === "hold" ? "home.onHold" : "home.stopped")}
              beside={say("home.times", { count })}
            />
          );
        })}
        {asked.map((one) => (
          <Entry
            key={`${one.executionId} ${one.task}`}
            to="/approvals"
            search={{ chosen: `${one.executionId}/${one.task}` }}
            status="asking"
            name={titleOf(one)}
            what={one.workflow}
            beside={<Time at={one.askedAt} />}
          />
        ))}
        {late.slice(0, SHOWN).map(({ workflow, count, seconds }) => (
          <Entry
            key={`late ${workflow}`}
            to="/executions"
            search={{ q: lateOf(workflow, seconds), range: "all" }}
            status="late"
            name={workflow}
            what={say("home.late", { limit: duration(seconds * 1_000) })}
            beside={say("home.times", { count })}
          />
        ))}
        {unserved.map(({ queue, taskType, ready }) => (
          <Entry
            key={`${queue} ${taskType}`}
            to="/queues"
            status="waiting"
            name={taskType}
            what={say("home.noWorker", { queue })}
            beside={say("home.tasks", { count: ready })}
          />
        ))}
        {failures.data?.groups.slice(0, SHOWN).map(({ values, count }) => {
          const { workflow = "", "error.class": error = "" } = values;
          const filter = `status = failed AND workflow = ${quoted(workflow)}`;
          return (
            <Entry
              key={`${workflow} ${error}`}
              to="/executions"
              search={{
                q: error ? `${filter} AND error.class = ${quoted(error)}` : filter,
                range: "24h",
              }}
              status="failed"
              name={workflow}
              what={error}
              beside={say("home.times", { count })}
            />
          );
        })}
      </ul>
    </section>
  );
}

type EntryProps = Pick<LinkProps, "to" | "search"> & {
  status: string;
  name: string;
  what: string;
  beside: ReactNode;
};

/** One thing that needs attention, with the way to it. */
function Entry({ status, name, what, beside, ...way }: EntryProps) {
  return (
    <li>
      <Link {...way} className={styles.row}>
        <Status status={status} />
        <bdi className="truncate">{name}</bdi>
        <span className="muted truncate">{what}</span>
        <span className="muted numbers">{beside}</span>
      </Link>
    </li>
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
