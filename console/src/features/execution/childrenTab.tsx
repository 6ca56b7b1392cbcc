import { Link } from "@tanstack/react-router";
import { Button, Empty, Skeleton } from "@/design/primitives";
import { Status } from "@/design/status";
import { useExecution } from "./data";
import styles from "./plain.module.css";

interface Child {
  id: string;
  task: string;
  workflow: string;
  status: string;
}

/** The executions that tasks of this one started, as its history tells them. */
export default function ChildrenTab() {
  const { history, loaded, execution, select } = useExecution();
  if (!loaded) return <Skeleton />;
  const children = new Map<string, Child>();
  const wanted = new Map<string, string>();
  for (const event of history.events) {
    const task = event.taskId ?? "";
    const { childExecutionId: id, workflow, status } = event.data as Record<string, string>;
    if (event.type === "ChildRequested" && workflow) wanted.set(task, workflow);
    if (!id) continue;
    const known = children.get(id);
    children.set(id, {
      id,
      task,
      workflow: known?.workflow ?? wanted.get(task) ?? execution?.tasks[task]?.childWorkflow ?? "",
      status: status ?? known?.status ?? "running",
    });
  }
  if (children.size === 0) {
    return (
      <Empty title="No child executions">
        <p>Executions that a task of the type subworkflow starts are listed here.</p>
      </Empty>
    );
  }
  return (
    <div className={styles.page}>
      <ul className={styles.list}>
        {[...children.values()].map((child) => (
          <li key={child.id} className={styles.child}>
            <Status status={child.status} />
            <Link
              to="/executions/$executionId"
              params={{ executionId: child.id }}
              className="mono truncate"
            >
              {child.id}
            </Link>
            <bdi className="truncate">{child.workflow}</bdi>
            <Button small kind="quiet" onClick={() => select(child.task)}>
              {child.task}
            </Button>
          </li>
        ))}
      </ul>
    </div>
  );
}
