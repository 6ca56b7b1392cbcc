import { StatusMark } from "@/design/status";
import type { Look } from "@/editing/nodeBox";
import styles from "@/editing/stage.module.css";
import { say } from "@/model/messages";
import { lookOf, type NodeStatus } from "@/model/status";
import type { Task } from "@/text/workflow";
import { KindIcon, kindWord } from "./kinds";

/** A task on the canvas, with its status in a run. */
export function taskLook(task: Task, version: unknown): Look {
  const status = version as NodeStatus | undefined;
  return {
    title: task.title,
    line: lineOf(task),
    label: labelOf(task, status),
    mark: status ? <StatusMark status={status} /> : <KindIcon kind={task.kind} />,
    beside: task.undo && (
      <span className={styles.undo} title={say("builder.undoneBy", { task: task.undo })}>
        ↩
      </span>
    ),
    family: status && lookOf(status).family,
  };
}

function lineOf(task: Task): string {
  if (task.inner.length > 0) return kindWord(task.kind);
  return task.kind === "taskRef" ? task.ref : `${kindWord(task.kind)} ${task.ref}`.trim();
}

function labelOf(task: Task, status: NodeStatus | undefined): string {
  const after = task.after.map((each) => each.task).join(", ");
  return [
    task.title,
    lineOf(task),
    after && say("builder.after", { tasks: after }),
    status && lookOf(status).word,
  ]
    .filter(Boolean)
    .join(", ");
}
