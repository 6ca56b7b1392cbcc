/** The tasks of the library, the workflows that use each, and its definition. */

import "../../../messages/builder";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { read } from "@/api/client";
import type { TaskAnswer, TaskStatistics } from "@/api/schema";
import { PageHeader } from "@/app/pageHeader";
import frame from "@/design/page.module.css";
import { Empty, Fold, Time } from "@/design/primitives";
import { Loading, Problem } from "@/design/problem";
import { Prose } from "@/design/prose";
import { type Column, DataTable } from "@/design/table";
import { duration } from "@/model/durations";
import { say } from "@/model/messages";
import { ValueTree } from "@/values/valueTree";
import { ChangeTask } from "./impact";
import styles from "./page.module.css";

const route = getRouteApi("/tasks");
const LISTED = 500;
const PERCENT = 100;

export function TasksPage() {
  const { chosen } = route.useSearch();
  const [words, setWords] = useState("");
  const list = useQuery({
    queryKey: ["tasks", "list"],
    queryFn: ({ signal }) => read("/api/v1/tasks", { query: { pageSize: LISTED }, signal }),
  });
  const tasks = (list.data?.tasks ?? []).filter((each) =>
    `${each.name} ${each.type} ${each.labels.owner ?? ""}`
      .toLowerCase()
      .includes(words.toLowerCase()),
  );
  return (
    <>
      <PageHeader
        title={say("library.tasks")}
        actions={
          <input
            type="search"
            className={frame.search}
            aria-label={say("library.find")}
            placeholder={say("library.find")}
            value={words}
            onChange={(event) => setWords(event.target.value)}
          />
        }
      />
      <div className={frame.split}>
        <div className={styles.list}>
          <Loading query={list} />
          {list.isSuccess && tasks.length === 0 && (
            <Empty title={say("library.none")}>{say("library.noneHint")}</Empty>
          )}
          {tasks.length > 0 && (
            <DataTable
              className={styles.table}
              columns={COLUMNS}
              rows={tasks}
              keyOf={(task) => task.name}
              rowProps={(task) => ({ "aria-selected": task.name === chosen })}
            />
          )}
        </div>
        {chosen && <TaskPanel key={chosen} name={chosen} />}
      </div>
    </>
  );
}

const COLUMNS: readonly Column<TaskAnswer>[] = [
  {
    head: say("library.task"),
    cell: ({ name }) => (
      <Link to="/tasks" search={{ chosen: name }}>
        <bdi>{name}</bdi>
      </Link>
    ),
  },
  { head: say("library.type"), as: "code", cell: (task) => task.type },
  { head: say("workflow.versions"), as: "numbers", cell: (task) => task.version },
  { head: say("library.owner"), as: "muted", cell: ({ labels }) => labels.owner ?? "–" },
  { head: say("library.visible"), as: "muted", cell: (task) => task.visibility },
  { head: say("library.changed"), as: "muted", cell: (task) => <Time at={task.createdAt} /> },
];

/** The documentation of a task: the description of its definition. */
function documentationOf({ definition }: TaskAnswer): string {
  const { spec } = (definition ?? {}) as { spec?: { description?: unknown } };
  return typeof spec?.description === "string" ? spec.description : "";
}

/** The success rate and the median duration of the runs of a task. */
function runsText({ completed, failed, successRate, medianMs }: TaskStatistics): string {
  if (successRate === undefined) return say("library.noRuns");
  return say("library.runs", {
    count: completed + failed,
    rate: Math.round(successRate * PERCENT),
    median: duration(medianMs ?? 0),
  });
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
  const statistics = useQuery({
    queryKey: ["tasks", name, "statistics"],
    queryFn: ({ signal }) => read("/api/v1/tasks/{name}/statistics", { path, signal }),
  });
  const workflows = usages.data?.workflows ?? [];
  return (
    <aside className={styles.panel} aria-label={name}>
      <h2>{name}</h2>
      {task.isError && <Problem error={task.error} />}
      {usages.isError && <Problem error={usages.error} />}
      {statistics.isError && <Problem error={statistics.error} />}
      {task.data?.labels.owner && (
        <p>{say("library.ownedBy", { owner: task.data.labels.owner })}</p>
      )}
      {task.data && <Prose text={documentationOf(task.data) || say("library.undocumented")} />}
      {statistics.data && <p>{runsText(statistics.data)}</p>}
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
