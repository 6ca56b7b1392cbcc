import { useState } from "react";
import { newKey } from "@/api/client";
import { Button, Dialog, DialogActions, Field } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";

interface Props {
  title: string;
  consequence: string;
  /** Where the reason is recorded. */
  hint: string;
  label: string;
  kind: "primary" | "danger";
  failed: string;
  close: () => void;
  /** Sends the call; the key makes a repeated one change nothing further. */
  send: (reason: string, key: string) => Promise<void>;
}

/** Asks for a reason and sends a call with it; it stays open if the server refuses. */
export function ReasonDialog(props: Props) {
  const [reason, setReason] = useState("");
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const [key] = useState(newKey);
  const send = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await props.send(reason, key);
    } catch (raised) {
      setError(raised);
      setBusy(false);
    }
  };
  return (
    <Dialog title={props.title} open onClose={props.close}>
      <p>{props.consequence}</p>
      <Field label={say("action.reason")} hint={props.hint}>
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
      {error !== undefined && <Problem error={error} title={props.failed} />}
      <DialogActions>
        <Button onClick={props.close}>{say("action.back")}</Button>
        <Button kind={props.kind} disabled={!reason.trim() || busy} onClick={() => void send()}>
          {props.label}
        </Button>
      </DialogActions>
    </Dialog>
  );
}
