import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect } from "react";
import { read } from "@/api/client";
import { Button, Elapsed, Empty, Skeleton } from "@/design/primitives";
import { Status } from "@/design/status";
import { say } from "@/model/messages";
import { isOpen } from "@/model/status";
import { useExecution } from "./data";
import styles from "./plain.module.css";

interface Child {
  id: string;
  task: string;
  workflow: string;
}

/** Levels that are shown at once; those below are on the page of a child. */
const LEVELS_MAX = 5;

/** The executions that tasks of this one started, as its history tells them, with theirs below. */
export default function ChildrenTab() {
  const { history, loaded, execution, select } = useExecution();
  if (!loaded) return <Skeleton />;
  const children = new Map<string, Child>();
  const wanted = new Map<string, string>();
  for (const event of history.events) {
    const task = event.taskId ?? "";
    const { childExecutionId: id, workflow } = event.data as Record<string, string>;
    if (event.type === "ChildRequested" && workflow) wanted.set(task, workflow);
    if (!id) continue;
    const known = children.get(id)?.workflow ?? wanted.get(task);
    children.set(id, {
      id,
      task,
      workflow: known ?? execution?.tasks[task]?.childWorkflow ?? "",
    });
  }
  if (children.size === 0) {
    return (
      <Empty title={say("children.none")}>
        <p>{say("children.noneHint")}</p>
      </Empty>
    );
  }
  return (
    <div className={styles.page}>
      <ul className={styles.list} aria-label={say("execution.children")}>
        {[...children.values()].map((child) => (
          <Branch key={child.id} child={child} level={1} select={select} />
        ))}
      </ul>
    </div>
  );
}

interface BranchProps {
  child: Child;
  level: number;
  /** Shows the task that started it; only tasks of this page can be shown. */
  select?: (task: string) => void;
}

/** A child with its status and duration, and its own children. */
function Branch({ child, level, select }: BranchProps) {
  const { history } = useExecution();
  const path = { executionId: child.id };
  const found = useQuery({
    queryKey: ["execution", child.id, "child"],
    queryFn: ({ signal }) => read("/api/v1/executions/{executionId}", { path, signal }),
    refetchInterval: ({ state }) => (state.data && !isOpen(state.data.status) ? false : FOLLOW_MS),
  });
  const { refetch } = found;
  // The end of a child is an event of this execution.
  // biome-ignore lint/correctness/useExhaustiveDependencies: each event may be of the child
  useEffect(() => {
    if (level === 1) void refetch();
  }, [history.lastSequence, level, refetch]);
  const below = Object.entries(found.data?.tasks ?? {}).flatMap(([task, state]) =>
    state.childExecutionId
      ? [{ id: state.childExecutionId, task, workflow: state.childWorkflow ?? "" }]
      : [],
  );
  return (
    <li>
      <div className={styles.child}>
        <Status status={found.data?.status ?? "pending"} />
        <Link to="/executions/$executionId" params={path} className="mono truncate">
          {child.id}
        </Link>
        <bdi className="truncate">{child.workflow || found.data?.workflow}</bdi>
        <Elapsed from={found.data?.startedAt} to={found.data?.endedAt} />
        {select ? (
          <Button small kind="quiet" onClick={() => select(child.task)}>
            {child.task}
          </Button>
        ) : (
          <code className="muted truncate">{child.task}</code>
        )}
      </div>
      {below.length > 0 && level < LEVELS_MAX && (
        <ul className={styles.below} aria-label={say("children.of", { id: child.id })}>
          {below.map((each) => (
            <Branch key={each.id} child={each} level={level + 1} />
          ))}
        </ul>
      )}
    </li>
  );
}

const FOLLOW_MS = 2_000;
