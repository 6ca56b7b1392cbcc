import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { Elapsed, Time } from "@/design/primitives";
import { Status } from "@/design/status";
import { listedStatus } from "@/model/status";
import type { Row } from "./queries";
import styles from "./table.module.css";

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

/** The content of a row in a column. */
export function cell(column: string, row: Row): ReactNode {
  switch (column) {
    case "status":
      return <Status status={listedStatus(row)} />;
    case "workflow":
      return <bdi title={row.workflow}>{row.workflowName}</bdi>;
    case "id":
      return (
        <Link
          to="/executions/$executionId"
          params={{ executionId: row.executionId }}
          className={styles.open}
        >
          {row.executionId}
        </Link>
      );
    case "version":
      return <span className="numbers">{row.version}</span>;
    case "started":
      return <Time at={row.startedAt} />;
    case "ended":
      return <Time at={row.endedAt} />;
    case "duration":
      return <Elapsed from={row.startedAt} to={row.endedAt} />;
    case "events":
      return <span className="numbers">{row.lastSequence ?? "–"}</span>;
    case "request":
      return <code>{row.requestId ?? ""}</code>;
    case "error":
      return row.error ? (
        <span className={styles.error} title={`${row.error.class}: ${row.error.message}`}>
          <b>{row.error.class}</b> <bdi>{row.error.message}</bdi>
        </span>
      ) : null;
    default:
      return valueShown(row.search?.[column]);
  }
}

/** A search value; a time, which is stored as a text, by its distance from now. */
function valueShown(value: unknown): ReactNode {
  if (typeof value === "number") return <span className="numbers">{value}</span>;
  const text = typeof value === "string" ? value : "";
  if (INSTANT.test(text)) return <Time at={text} />;
  return <bdi title={text}>{text || "–"}</bdi>;
}
