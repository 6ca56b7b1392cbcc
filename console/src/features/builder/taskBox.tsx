import { memo, type PointerEvent } from "react";
import type { ProblemValue } from "@/api/schema";
import { StatusMark } from "@/design/status";
import { NODE_HEIGHT, NODE_WIDTH } from "@/model/layout";
import { say } from "@/model/messages";
import { lookOf, type NodeStatus } from "@/model/status";
import type { Position, Task } from "@/text/workflow";
import { KindIcon, kindWord } from "./kinds";
import styles from "./stage.module.css";

export const NODE = { width: NODE_WIDTH, height: NODE_HEIGHT };

interface Props {
  task: Task;
  at: Position;
  selected: boolean;
  status: NodeStatus | undefined;
  findings: readonly ProblemValue[] | undefined;
  /** The reason for which an edge that is being drawn cannot end here. */
  refused: string | undefined;
  /** Whether an edge is being drawn from another task. */
  target: boolean;
  editable: boolean;
  begin: (event: PointerEvent, id: string, handle: boolean) => void;
  open: (task: Task) => void;
}

/** One task on the canvas. */
export const TaskBox = memo(
  function TaskBox(props: Props) {
    const { task, at, selected, status, findings, refused, target, editable, begin, open } = props;
    const worst = findings?.some((each) => each.severity === "error") ? "error" : "warning";
    const press = (handle: boolean) => (event: PointerEvent) => {
      event.stopPropagation();
      begin(event, task.id, handle);
    };
    return (
      <div
        className={styles.task}
        role="button"
        tabIndex={0}
        aria-pressed={selected}
        aria-label={labelOf(task, status, findings)}
        data-task={task.id}
        data-target={target ? (refused ? "refused" : "free") : undefined}
        data-family={status && lookOf(status).family}
        data-findings={findings && worst}
        title={target ? refused : findings?.[0]?.message}
        style={{ transform: `translate(${at.x}px, ${at.y}px)` }}
        onPointerDown={press(false)}
        onDoubleClick={() => open(task)}
      >
        {status ? <StatusMark status={status} /> : <KindIcon kind={task.kind} />}
        <span className={styles.words}>
          <span className="truncate">{task.title}</span>
          <small className="truncate muted">{lineOf(task)}</small>
        </span>
        {task.undo && (
          <span className={styles.undo} title={say("builder.undoneBy", { task: task.undo })}>
            ↩
          </span>
        )}
        {findings && <span className={styles.fault}>{worst === "error" ? "!" : "?"}</span>}
        {editable && (
          <span
            className={styles.handle}
            data-handle
            aria-hidden
            title={say("builder.drag")}
            onPointerDown={press(true)}
          />
        )}
      </div>
    );
  },
  (before, after) =>
    before.task === after.task &&
    before.at.x === after.at.x &&
    before.at.y === after.at.y &&
    before.selected === after.selected &&
    before.status === after.status &&
    before.findings === after.findings &&
    before.refused === after.refused &&
    before.target === after.target &&
    before.editable === after.editable &&
    before.begin === after.begin,
);

function lineOf(task: Task): string {
  if (task.inner.length > 0) return kindWord(task.kind);
  return task.kind === "taskRef" ? task.ref : `${kindWord(task.kind)} ${task.ref}`.trim();
}

function labelOf(
  task: Task,
  status: NodeStatus | undefined,
  findings: readonly ProblemValue[] | undefined,
): string {
  const after = task.after.map((each) => each.task).join(", ");
  return [
    task.title,
    lineOf(task),
    after && say("builder.after", { tasks: after }),
    status && lookOf(status).word,
    findings && say("builder.findings", { count: findings.length }),
  ]
    .filter(Boolean)
    .join(", ");
}
