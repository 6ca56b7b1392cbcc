import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { write } from "@/api/client";
import { ActionDialog, ReasonField } from "@/design/actionDialog";
import { TextField } from "@/design/primitives";
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
  const client = useQueryClient();
  const apply = async (key: string) => {
    const of = workflow.trim();
    await write(`POST /api/v1/dispatch/${change.kind}`, {
      body: { reason, ...(of && { workflow: of }) },
      key,
    });
    await client.invalidateQueries({ queryKey: ["live"] });
    close();
  };
  return (
    <ActionDialog
      title={TITLES[change.kind]}
      label={say("queues.changeOf", {
        change: TITLES[change.kind],
        subject: workflow.trim() || say("queues.namespace"),
      })}
      danger={change.kind === "stop"}
      disabled={!reason.trim()}
      failed={say("queues.dispatchSame")}
      close={close}
      act={apply}
    >
      <p>{CONSEQUENCES[change.kind]}</p>
      <TextField
        label={say("queues.workflow")}
        hint={say("queues.workflowHint")}
        value={workflow}
        readOnly={change.kind === "start"}
        change={setWorkflow}
      />
      <ReasonField hint={say("queues.reasonHint")} value={reason} change={setReason} />
    </ActionDialog>
  );
}
