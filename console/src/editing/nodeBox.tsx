import { memo, type ReactNode } from "react";
import type { ProblemValue } from "@/api/schema";
import { NODE_HEIGHT, NODE_WIDTH } from "@/model/layout";
import { say } from "@/model/messages";
import type { BoxState } from "./canvas";
import styles from "./stage.module.css";

export const NODE = { width: NODE_WIDTH, height: NODE_HEIGHT };

/** The words and marks of a box. */
export interface Look {
  title: string;
  line: string;
  label: string;
  mark: ReactNode;
  /** What stands at its end. */
  beside?: ReactNode;
  /** The colours of a status. */
  family?: string | undefined;
}

interface Props<T extends { id: string }> extends BoxState {
  node: T;
  findings: readonly ProblemValue[] | undefined;
  /** The look of the node; called when the node or `look` of it changed. */
  look: (node: T, version: unknown) => Look;
  /** Further values that the look depends on. */
  version?: unknown;
  open: (id: string) => void;
}

/** One box on the canvas. */
function Box<T extends { id: string }>(props: Props<T>) {
  const { node, at, selected, findings, refused, target, editable, begin, open } = props;
  const worst = findings?.some((each) => each.severity === "error") ? "error" : "warning";
  const { title, line, label, mark, beside, family } = props.look(node, props.version);
  const words = findings
    ? `${label}, ${say("builder.findings", { count: findings.length })}`
    : label;
  return (
    <div
      className={styles.task}
      role="button"
      tabIndex={0}
      aria-pressed={selected}
      aria-label={words}
      data-task={node.id}
      data-target={target ? (refused ? "refused" : "free") : undefined}
      data-family={family}
      data-findings={findings && worst}
      title={target ? refused : findings?.[0]?.message}
      style={{ transform: `translate(${at.x}px, ${at.y}px)` }}
      onPointerDown={(event) => {
        event.stopPropagation();
        begin(event, node.id, false);
      }}
      onDoubleClick={() => open(node.id)}
    >
      {mark}
      <span className={styles.words}>
        <span className="truncate">{title}</span>
        <small className="truncate muted">{line}</small>
      </span>
      {beside}
      {findings && <span className={styles.fault}>{worst === "error" ? "!" : "?"}</span>}
      {editable && (
        <span
          className={styles.handle}
          data-handle
          aria-hidden
          title={say("builder.drag")}
          onPointerDown={(event) => {
            event.stopPropagation();
            begin(event, node.id, true);
          }}
        />
      )}
    </div>
  );
}

/** Whether a box shows the same; an edit of the text reads all nodes anew. */
function same(before: unknown, after: unknown): boolean {
  return before === after || JSON.stringify(before) === JSON.stringify(after);
}

export const NodeBox = memo(
  Box,
  (before, after) =>
    same(before.node, after.node) &&
    before.version === after.version &&
    before.at.x === after.at.x &&
    before.at.y === after.at.y &&
    before.selected === after.selected &&
    same(before.findings, after.findings) &&
    before.refused === after.refused &&
    before.target === after.target &&
    before.editable === after.editable &&
    before.begin === after.begin,
) as typeof Box;
