import { Link } from "@tanstack/react-router";
import type { WorkerValue } from "@/api/schema";
import { useTopic, useTopics } from "@/api/topics";
import { PageHeader } from "@/app/pageHeader";
import { Empty, Skeleton, Time } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Share, Table } from "@/design/table";
import { count, plural } from "@/model/durations";
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
        title="Workers"
        actions={
          <Link to="/queues" className="muted">
            Queues and limits
          </Link>
        }
      />
      <div className={styles.page}>
        {workers.isPending && <Skeleton rows={6} />}
        {workers.isError && <Problem error={workers.error} retry={() => void workers.refetch()} />}
        {(workers.data?.unreachable.length ?? 0) > 0 && (
          <p role="alert" className={styles.partial}>
            {plural(workers.data?.unreachable.length ?? 0, "orchestrator")} did not answer; its
            tasks are not counted.
          </p>
        )}
        {alone.length > 0 && (
          <section role="alert" className={styles.alone}>
            <h2>Tasks without a worker</h2>
            <ul>
              {alone.map((each) => (
                <li key={`${each.queue} ${each.taskType} ${each.requires}`}>
                  <bdi>
                    {plural(each.ready, "task")} of <code>{each.taskType}</code> in queue{" "}
                    <code>{each.queue}</code>
                  </bdi>
                  {each.requires && (
                    <>
                      , which require <code>{each.requires}</code>
                    </>
                  )}
                </li>
              ))}
            </ul>
          </section>
        )}
        {workers.isSuccess && remote.length === 0 && <NoWorkers />}
        {remote.length > 0 && <Workers title={plural(remote.length, "worker")} rows={remote} />}
        {builtin.length > 0 && <Workers title="Built-in executors" rows={builtin} />}
      </div>
    </>
  );
}

const HEADS = ["Worker", "Tasks at once", "Since", "Queues", "Task types", "Labels"] as const;

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
            <Share part={each.running} whole={each.slots} label={`Tasks at ${each.workerId}`} />
          </td>
          <td className="muted">
            <Time at={each.attachedAt} />
          </td>
          <td>
            <bdi>{each.queues.join(", ") || "all"}</bdi>
          </td>
          <td title={each.taskTypes.join(", ")}>
            <bdi>{each.taskTypes.slice(0, TYPES_SHOWN).join(", ")}</bdi>
            {each.taskTypes.length > TYPES_SHOWN && (
              <span className="muted"> and {count(each.taskTypes.length - TYPES_SHOWN)} more</span>
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
    <Empty title="No worker is attached">
      <p>
        Built-in task types run without one. A program with a `Worker` of an SDK takes tasks of its
        own types, and appears here once it has connected.
      </p>
    </Empty>
  );
}
