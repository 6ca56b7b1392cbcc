import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Comparison, Side } from "@/api/schema";
import { Time } from "@/design/primitives";
import { Status } from "@/design/status";
import cards from "@/design/table.module.css";
import { duration } from "@/model/durations";
import { say } from "@/model/messages";
import styles from "./page.module.css";

interface Props {
  comparison: Comparison;
  select: (node: string | undefined) => void;
}

/** The two executions in a table, and the first difference in a sentence. */
export function Sides({ comparison, select }: Props) {
  const { left, right, firstDivergence, same, truncated } = comparison;
  return (
    <div className={styles.sides}>
      <table className={`${cards.cards} ${styles.table}`}>
        <thead>
          <tr>
            <td />
            <th scope="col">{say("compare.execution")}</th>
            <th scope="col">{say("compare.status")}</th>
            <th scope="col">{say("compare.workflow")}</th>
            <th scope="col">{say("compare.started")}</th>
            <th scope="col">{say("compare.duration")}</th>
            <th scope="col">{say("compare.attempts")}</th>
            <th scope="col">{say("compare.error")}</th>
          </tr>
        </thead>
        <tbody>
          <SideRow label={say("compare.left")} side={left} />
          <SideRow label={say("compare.right")} side={right} />
        </tbody>
      </table>
      <p
        className={styles.verdict}
        data-family={same ? "success" : "attention"}
        data-testid="verdict"
      >
        {firstDivergence ? (
          <>
            <strong>{say("compare.first")}</strong>{" "}
            {firstDivergence.taskId && (
              <button
                type="button"
                className={styles.task}
                onClick={() => select(firstDivergence.taskId)}
              >
                {firstDivergence.taskId}
              </button>
            )}{" "}
            <bdi>{firstDivergence.text}</bdi>
          </>
        ) : (
          say("compare.same")
        )}
        {truncated && <span className="muted"> {say("compare.truncated")}</span>}
      </p>
    </div>
  );
}

function SideRow({ label, side }: { label: string; side: Side }): ReactNode {
  return (
    <tr>
      <th scope="row">{label}</th>
      <td data-head={say("compare.execution")}>
        <Link
          to="/executions/$executionId"
          params={{ executionId: side.executionId }}
          className="mono"
        >
          {side.executionId}
        </Link>
      </td>
      <td data-head={say("compare.status")}>
        <Status status={side.status} />
      </td>
      <td data-head={say("compare.workflow")}>
        <code>
          {side.workflow} v{side.version}
        </code>
      </td>
      <td data-head={say("compare.started")} className="muted">
        <Time at={side.startedAt} />
      </td>
      <td data-head={say("compare.duration")} className="numbers">
        {duration(side.durationMs)}
      </td>
      <td data-head={say("compare.attempts")} className="numbers">
        {side.attempts}
      </td>
      <td
        data-head={say("compare.error")}
        className={styles.error}
        data-none={!side.error || undefined}
      >
        {side.error && (
          <>
            <b>{side.error.class}</b> <bdi>{side.error.message}</bdi>
          </>
        )}
      </td>
    </tr>
  );
}
