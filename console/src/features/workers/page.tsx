import { Link } from "@tanstack/react-router";
import type { WorkerValue } from "@/api/schema";
import { useTopic, useTopics } from "@/api/topics";
import { PageHeader } from "@/app/pageHeader";
import { Empty, Skeleton, Time } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Share, Table } from "@/design/table";
import { say } from "@/model/messages";
import styles from "./page.module.css";

const TYPES_SHOWN = 6;

/** Attached workers with their slots and tasks, and the queues that none of them takes. */
export function WorkersPage() {
  useTopics(["workers", "queues"]);
  const workers = useTopic("workers");
  const queues = useTopic("queues");
  const all = workers.data?.workers ?? [];
  const remote = all.filter((each) => !each.builtin);
  const builtin = all.filter((each) => each.builtin);
  const alone = queues.data?.queues.filter((each) => !each.workerSets && each.ready > 0) ?? [];
  return (
    <>
      <PageHeader
        title={say("workers.title")}
        actions={
          <Link to="/queues" className="muted">
            {say("workers.queues")}
          </Link>
        }
      />
      <div className={styles.page}>
        {workers.isPending && <Skeleton rows={6} />}
        {workers.isError && <Problem error={workers.error} retry={() => void workers.refetch()} />}
        {(workers.data?.unreachable.length ?? 0) > 0 && (
          <p role="alert" className={styles.partial}>
            {say("workers.partial", { count: workers.data?.unreachable.length ?? 0 })}
          </p>
        )}
        {alone.length > 0 && (
          <section role="alert" className={styles.alone}>
            <h2>{say("workers.alone")}</h2>
            <ul>
              {alone.map((each) => (
                <li key={`${each.queue} ${each.taskType} ${each.requires}`}>
                  <bdi>
                    {say(each.requires ? "workers.aloneRequires" : "workers.aloneTasks", {
                      count: each.ready,
                      type: each.taskType,
                      queue: each.queue,
                      labels: each.requires ?? "",
                    })}
                  </bdi>
                </li>
              ))}
            </ul>
          </section>
        )}
        {workers.isSuccess && remote.length === 0 && <NoWorkers />}
        {remote.length > 0 && (
          <Workers title={say("workers.count", { count: remote.length })} rows={remote} />
        )}
        {builtin.length > 0 && <Workers title={say("workers.builtin")} rows={builtin} />}
      </div>
    </>
  );
}

const HEADS = [
  say("workers.worker"),
  say("workers.slots"),
  say("workers.since"),
  say("workers.version"),
  say("workers.queuesHead"),
  say("workers.types"),
  say("workers.labels"),
] as const;

function Workers({ title, rows }: { title: string; rows: readonly WorkerValue[] }) {
  return (
    <Table title={title} heads={HEADS}>
      {rows.map((each) => (
        <tr key={`${each.workerId} ${each.workerService}`}>
          <td>
            <code>
              <bdi>{each.workerId}</bdi>
            </code>
          </td>
          <td>
            <Share
              part={each.running}
              whole={each.slots}
              label={say("workers.at", { worker: each.workerId })}
            />
          </td>
          <td className="muted">
            <Time at={each.attachedAt} />
          </td>
          <td className="muted">
            <bdi>{each.version || say("workers.unknown")}</bdi>
          </td>
          <td>
            <bdi>{each.queues.join(", ") || say("workers.allQueues")}</bdi>
          </td>
          <td title={each.taskTypes.join(", ")}>
            <bdi>{each.taskTypes.slice(0, TYPES_SHOWN).join(", ")}</bdi>
            {each.taskTypes.length > TYPES_SHOWN && (
              <span className="muted">
                {" "}
                {say("workers.more", { count: each.taskTypes.length - TYPES_SHOWN })}
              </span>
            )}
          </td>
          <td>
            <bdi>
              {Object.entries(each.labels)
                .map(([name, value]) => `${name}=${value}`)
                .join(", ") || "–"}
            </bdi>
          </td>
        </tr>
      ))}
    </Table>
  );
}

function NoWorkers() {
  return (
    <Empty title={say("workers.none")}>
      <p>{say("workers.noneHint")}</p>
    </Empty>
  );
}
