import { useState } from "react";
import { ActionDialog, ReasonField } from "@/design/actionDialog";

interface Props {
  title: string;
  consequence: string;
  /** Where the reason is recorded. */
  hint: string;
  label: string;
  danger?: boolean;
  failed: string;
  close: () => void;
  send: (reason: string, key: string) => Promise<void>;
}

/** Asks for a reason and sends a call with it. */
export function ReasonDialog({ consequence, hint, send, ...dialog }: Props) {
  const [reason, setReason] = useState("");
  return (
    <ActionDialog {...dialog} disabled={!reason.trim()} act={(key) => send(reason, key)}>
      <p>{consequence}</p>
      <ReasonField hint={hint} value={reason} change={setReason} />
    </ActionDialog>
  );
}
