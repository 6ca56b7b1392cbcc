/** The tasks of the library, the workflows that use each, and its definition. */

import "../../../messages/builder";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { read } from "@/api/client";
import type { TaskAnswer } from "@/api/schema";
import { PageHeader } from "@/app/pageHeader";
import { Empty, Fold, Skeleton, Time } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";
import { ValueTree } from "@/values/valueTree";
import { ChangeTask } from "./impact";
import styles from "./page.module.css";

const route = getRouteApi("/tasks");
const LISTED = 500;

export function TasksPage() {
  const { chosen } = route.useSearch();
  const [words, setWords] = useState("");
  const list = useQuery({
    queryKey: ["tasks", "list"],
    queryFn: ({ signal }) => read("/api/v1/tasks", { query: { pageSize: LISTED }, signal }),
  });
  const tasks = (list.data?.tasks ?? []).filter((each) =>
    `${each.name} ${each.type}`.toLowerCase().includes(words.toLowerCase()),
  );
  return (
    <>
      <PageHeader
        title={say("library.tasks")}
        actions={
          <input
            type="search"
            aria-label={say("library.find")}
            placeholder={say("library.find")}
            value={words}
            onChange={(event) => setWords(event.target.value)}
          />
        }
      />
      <div className={styles.body}>
        <div className={styles.list}>
          {list.isPending && <Skeleton />}
          {list.isError && <Problem error={list.error} retry={() => void list.refetch()} />}
          {list.isSuccess && tasks.length === 0 && (
            <Empty title={say("library.none")}>{say("library.noneHint")}</Empty>
          )}
          {tasks.length > 0 && <TaskTable tasks={tasks} chosen={chosen} />}
        </div>
        {chosen && <TaskPanel key={chosen} name={chosen} />}
      </div>
    </>
  );
}

function TaskTable({
  tasks,
  chosen,
}: {
  tasks: readonly TaskAnswer[];
  chosen: string | undefined;
}) {
  return (
    <table className={styles.table}>
      <thead>
        <tr>
          <th>{say("library.task")}</th>
          <th>{say("library.type")}</th>
          <th>{say("workflow.versions")}</th>
          <th>{say("library.visible")}</th>
          <th>{say("library.changed")}</th>
        </tr>
      </thead>
      <tbody>
        {tasks.map((task) => (
          <tr key={task.name} aria-selected={task.name === chosen}>
            <td>
              <Link to="/tasks" search={{ chosen: task.name }}>
                <bdi>{task.name}</bdi>
              </Link>
            </td>
            <td>
              <code>{task.type}</code>
            </td>
            <td className="numbers">{task.version}</td>
            <td className="muted">{task.visibility}</td>
            <td className="muted">
              <Time at={task.createdAt} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function TaskPanel({ name }: { name: string }) {
  const path = { name };
  const task = useQuery({
    queryKey: ["tasks", name],
    queryFn: ({ signal }) => read("/api/v1/tasks/{name}", { path, signal }),
  });
  const usages = useQuery({
    queryKey: ["tasks", name, "usages"],
    queryFn: ({ signal }) => read("/api/v1/tasks/{name}/usages", { path, signal }),
  });
  const workflows = usages.data?.workflows ?? [];
  return (
    <aside className={styles.panel} aria-label={name}>
      <h2>{name}</h2>
      {task.isError && <Problem error={task.error} />}
      {usages.isError && <Problem error={usages.error} />}
      {usages.data && (
        <>
          <p>{say("library.usedBy", { count: workflows.length })}</p>
          <ul>
            {workflows.map((each) => (
              <li key={`${each.name} ${each.version}`}>
                <Link to="/workflows/$workflowId" params={{ workflowId: each.name }}>
                  {each.name}
                </Link>{" "}
                <span className="muted">{say("workflow.version", { version: each.version })}</span>
              </li>
            ))}
          </ul>
        </>
      )}
      {task.data && (
        <Fold title={say("library.definition")} open>
          <ValueTree value={task.data.definition} root="task" />
        </Fold>
      )}
      {task.data && usages.data && (
        <Fold title={say("library.change")}>
          <ChangeTask key={task.data.version} task={task.data} users={workflows} />
        </Fold>
      )}
    </aside>
  );
}
