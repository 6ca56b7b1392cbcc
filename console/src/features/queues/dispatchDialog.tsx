import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { newKey, write } from "@/api/client";
import { Button, Dialog, DialogActions, Field } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";

/** A stop or start of dispatch; without a workflow it is that of the namespace. */
export interface Change {
  kind: "stop" | "start";
  workflow?: string | undefined;
}

const TITLES = { stop: say("queues.stop"), start: say("queues.start") } as const;
const CONSEQUENCES = {
  stop: say("queues.stopHint"),
  start: say("queues.startHint"),
} as const;

export function DispatchDialog({ change, close }: { change: Change; close: () => void }) {
  const [workflow, setWorkflow] = useState(change.workflow ?? "");
  const [reason, setReason] = useState("");
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const [key] = useState(newKey);
  const client = useQueryClient();
  const apply = async () => {
    setBusy(true);
    setError(undefined);
    const of = workflow.trim();
    try {
      await write(`POST /api/v1/dispatch/${change.kind}`, {
        body: { reason, ...(of && { workflow: of }) },
        key,
      });
      await client.invalidateQueries({ queryKey: ["live"] });
      close();
    } catch (raised) {
      setError(raised);
      setBusy(false);
    }
  };
  return (
    <Dialog title={TITLES[change.kind]} open onClose={close}>
      <p>{CONSEQUENCES[change.kind]}</p>
      <Field label={say("queues.workflow")} hint={say("queues.workflowHint")}>
        {({ id, describedBy }) => (
          <input
            id={id}
            aria-describedby={describedBy}
            value={workflow}
            readOnly={change.kind === "start"}
            onChange={(event) => setWorkflow(event.target.value)}
          />
        )}
      </Field>
      <Field label={say("queues.reason")} hint={say("queues.reasonHint")}>
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
      {error !== undefined && <Problem error={error} title={say("queues.dispatchSame")} />}
      <DialogActions>
        <Button onClick={close}>{say("action.back")}</Button>
        <Button
          kind={change.kind === "stop" ? "danger" : "primary"}
          disabled={!reason.trim() || busy}
          onClick={() => void apply()}
        >
          {say("queues.changeOf", {
            change: TITLES[change.kind],
            subject: workflow.trim() || say("queues.namespace"),
          })}
        </Button>
      </DialogActions>
    </Dialog>
  );
}
