import { useQuery } from "@tanstack/react-query";
import { read, write } from "@/api/client";
import type { BulkAnswer } from "@/api/schema";
import { Button } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";
import styles from "./page.module.css";
import { ReasonDialog } from "./reasonDialog";

interface SendProps {
  /** The filter of the executions, and their number. */
  filter: string;
  count: number;
  close: () => void;
  started: (bulkId: string) => void;
}

/** Send the failed tasks of the chosen executions again, in one bulk. */
export function SendDialog({ filter, count, close, started }: SendProps) {
  return (
    <ReasonDialog
      title={say("letters.send")}
      consequence={say("letters.sendHint")}
      hint={say("letters.sendReason")}
      label={say("letters.sendCount", { count })}
      failed={say("letters.notSent")}
      close={close}
      send={async (reason, key) => {
        const body = { filter, action: "rerun", fromFailed: true, reason };
        started(((await write("POST /api/v1/bulk", { body, key })) as BulkAnswer).bulkId);
      }}
    />
  );
}

const FOLLOW_MS = 500;

/** The progress of a bulk, with what it could not send. */
export function Sent({ bulkId, close }: { bulkId: string; close: () => void }) {
  const { data, isError, error, refetch } = useQuery({
    queryKey: ["bulk", bulkId],
    queryFn: ({ signal }) => read("/api/v1/bulk/{bulkId}", { path: { bulkId }, signal }),
    refetchInterval: ({ state }) => (state.data?.status === "running" ? FOLLOW_MS : false),
  });
  return (
    <div className={styles.bar} role="status">
      {isError && <Problem error={error} retry={() => void refetch()} />}
      {data && (
        <span className="numbers">
          {say(data.status === "running" ? "letters.sending" : "letters.sent", {
            applied: data.applied,
            skipped: data.skipped,
            failed: data.failed,
            matched: data.matched,
          })}
        </span>
      )}
      {data && data.failures.length > 0 && (
        <ul className={styles.failures}>
          {data.failures.map((each) => (
            <li key={each.executionId}>
              <code>{each.executionId}</code> {each.message}
            </li>
          ))}
        </ul>
      )}
      <Button small kind="quiet" onClick={close}>
        {say("action.close")}
      </Button>
    </div>
  );
}
