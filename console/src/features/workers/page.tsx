import { Link } from "@tanstack/react-router";
import type { WorkerValue } from "@/api/schema";
import { useTopic, useTopics } from "@/api/topics";
import { Page } from "@/app/pageHeader";
import { Listing } from "@/design/listing";
import { Time } from "@/design/primitives";
import { type Column, Share, Table } from "@/design/table";
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
    <Page
      title={say("workers.title")}
      actions={
        <Link to="/queues" className="muted">
          {say("workers.queues")}
        </Link>
      }
    >
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
      <Listing
        query={workers}
        none={say("workers.none")}
        noneHint={say("workers.noneHint")}
        title={say("workers.count", { count: remote.length })}
        columns={COLUMNS}
        rows={remote}
        keyOf={keyOf}
      />
      {builtin.length > 0 && (
        <Table title={say("workers.builtin")} columns={COLUMNS} rows={builtin} keyOf={keyOf} />
      )}
    </Page>
  );
}

const COLUMNS: readonly Column<WorkerValue>[] = [
  { head: say("workers.worker"), as: "id", cell: (each) => each.workerId },
  {
    head: say("workers.slots"),
    cell: ({ workerId, running, slots }) => (
      <Share part={running} whole={slots} label={say("workers.at", { worker: workerId })} />
    ),
  },
  { head: say("workers.since"), as: "muted", cell: (each) => <Time at={each.attachedAt} /> },
  {
    head: say("workers.version"),
    as: "muted",
    cell: (each) => <bdi>{each.version || say("workers.unknown")}</bdi>,
  },
  {
    head: say("workers.queuesHead"),
    as: "text",
    cell: (each) => each.queues.join(", ") || say("workers.allQueues"),
  },
  {
    head: say("workers.types"),
    title: (each) => each.taskTypes.join(", "),
    cell: ({ taskTypes }) => (
      <>
        <bdi>{taskTypes.slice(0, TYPES_SHOWN).join(", ")}</bdi>
        {taskTypes.length > TYPES_SHOWN && (
          <span className="muted">
            {" "}
            {say("workers.more", { count: taskTypes.length - TYPES_SHOWN })}
          </span>
        )}
      </>
    ),
  },
  {
    head: say("workers.labels"),
    as: "text",
    cell: (each) =>
      Object.entries(each.labels)
        .map(([name, value]) => `${name}=${value}`)
        .join(", ") || "–",
  },
];

function keyOf({ workerId, workerService }: WorkerValue): string {
  return `${workerId} ${workerService}`;
}
