import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { newKey, read, write } from "@/api/client";
import type { BulkAnswer } from "@/api/schema";
import { Button, Dialog, DialogActions, Field } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";
import styles from "./page.module.css";

interface SendProps {
  ids: readonly string[];
  close: () => void;
  started: (bulkId: string) => void;
}

/** Send the failed tasks of the chosen executions again, in one bulk. */
export function SendDialog({ ids, close, started }: SendProps) {
  const [reason, setReason] = useState("");
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const [key] = useState(newKey);
  const send = async () => {
    setBusy(true);
    setError(undefined);
    const filter = `id IN (${ids.map((id) => `"${id}"`).join(", ")})`;
    const body = { filter, action: "rerun", fromFailed: true, reason };
    try {
      started(((await write("POST /api/v1/bulk", { body, key })) as BulkAnswer).bulkId);
    } catch (raised) {
      setError(raised);
      setBusy(false);
    }
  };
  return (
    <Dialog title={say("letters.send")} open onClose={close}>
      <p>{say("letters.sendHint")}</p>
      <Field label={say("action.reason")} hint={say("letters.sendReason")}>
        {({ id, describedBy }) => (
          <input
            id={id}
            aria-describedby={describedBy}
            value={reason}
            maxLength={1_024}
            onChange={(event) => setReason(event.target.value)}
          />
        )}
      </Field>
      {error !== undefined && <Problem error={error} title={say("letters.notSent")} />}
      <DialogActions>
        <Button onClick={close}>{say("action.back")}</Button>
        <Button kind="primary" disabled={!reason.trim() || busy} onClick={() => void send()}>
          {say("letters.sendCount", { count: ids.length })}
        </Button>
      </DialogActions>
    </Dialog>
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
