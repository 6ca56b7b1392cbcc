import { useState } from "react";
import { newKey, write } from "@/api/client";
import { Button, Dialog, DialogActions, Field } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";
import styles from "./page.module.css";

interface Props {
  ids: readonly string[];
  close: () => void;
  done: () => void;
}

/** Take the letters of the chosen executions off the list. */
export function DiscardDialog({ ids, close, done }: Props) {
  const [reason, setReason] = useState("");
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const [key] = useState(newKey);
  const send = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const body = { executionIds: [...ids], reason };
      await write("POST /api/v1/dead-letters:discard", { body, key });
      done();
    } catch (raised) {
      setError(raised);
      setBusy(false);
    }
  };
  return (
    <Dialog title={say("letters.discard")} open onClose={close}>
      <p>{say("letters.discardHint")}</p>
      <Field label={say("action.reason")} hint={say("letters.discardReason")}>
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
      {error !== undefined && <Problem error={error} title={say("letters.notDiscarded")} />}
      <DialogActions>
        <Button onClick={close}>{say("action.back")}</Button>
        <Button kind="danger" disabled={!reason.trim() || busy} onClick={() => void send()}>
          {say("letters.discardCount", { count: ids.length })}
        </Button>
      </DialogActions>
    </Dialog>
  );
}

interface DiscardedProps {
  ids: readonly string[];
  close: () => void;
  restored: () => void;
}

/** What was discarded, and the way back. */
export function Discarded({ ids, close, restored }: DiscardedProps) {
  const [error, setError] = useState<unknown>();
  const undo = async () => {
    setError(undefined);
    try {
      const body = { executionIds: [...ids], reason: say("letters.undone") };
      await write("POST /api/v1/dead-letters:restore", { body });
      restored();
    } catch (raised) {
      setError(raised);
    }
  };
  return (
    <div className={styles.bar} role="status">
      <span className="numbers">{say("letters.discarded", { count: ids.length })}</span>
      <Button small onClick={() => void undo()}>
        {say("letters.undo")}
      </Button>
      <Button small kind="quiet" onClick={close}>
        {say("action.close")}
      </Button>
      {error !== undefined && <Problem error={error} title={say("letters.notRestored")} />}
    </div>
  );
}
