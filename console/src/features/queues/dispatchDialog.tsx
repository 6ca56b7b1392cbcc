import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { newKey, write } from "@/api/client";
import { Button, Dialog, DialogActions, Field } from "@/design/primitives";
import { Problem } from "@/design/problem";

/** A stop or start of dispatch; without a workflow it is that of the namespace. */
export interface Change {
  kind: "stop" | "start";
  workflow?: string | undefined;
}

const TITLES = { stop: "Stop dispatch", start: "Start dispatch" } as const;
const CONSEQUENCES = {
  stop: "No further task is given to a worker until dispatch is started. Running tasks continue.",
  start: "All waiting tasks are given to workers again.",
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
      <Field label="Workflow" hint="Empty for the whole namespace.">
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
      <Field label="Reason" hint="Recorded in the changes of limits.">
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
      {error !== undefined && <Problem error={error} title="Dispatch was not changed" />}
      <DialogActions>
        <Button onClick={close}>Back</Button>
        <Button
          kind={change.kind === "stop" ? "danger" : "primary"}
          disabled={!reason.trim() || busy}
          onClick={() => void apply()}
        >
          {TITLES[change.kind]} of {workflow.trim() || "the namespace"}
        </Button>
      </DialogActions>
    </Dialog>
  );
}
