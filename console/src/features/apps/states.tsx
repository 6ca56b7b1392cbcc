import type { AppValue, ReleaseValue } from "@/api/schema";
import { StatusMark } from "@/design/status";
import { say } from "@/model/messages";
import styles from "./page.module.css";

const MARKS = {
  running: "success",
  starting: "running",
  crashing: "failed",
  stopped: "paused",
  pending: "running",
  serving: "success",
  replaced: "skipped",
  refused: "failed",
} as const;

/** The state of an application or of a release, with its mark. */
export function StateMark({ state }: { state: AppValue["state"] | ReleaseValue["state"] }) {
  return (
    <span className={styles.state}>
      <StatusMark status={MARKS[state]} />
      {say(`appState.${state}`)}
    </span>
  );
}
