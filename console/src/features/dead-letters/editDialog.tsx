import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { read, write } from "@/api/client";
import type { DeadLetterValue, NodeExecution, Rerun } from "@/api/schema";
import { ActionForm, ReasonField } from "@/design/actionDialog";
import { AreaField } from "@/design/fields";
import { Button, Dialog, DialogActions, Skeleton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";
import { jsonFault } from "@/values/jsonFault";

interface Props {
  letter: DeadLetterValue;
  close: () => void;
}

/** Send a failed task again: a new execution reuses what had completed. */
export function EditDialog({ letter, close }: Props) {
  const { executionId, task } = letter;
  const { data, isError, error, refetch } = useQuery({
    queryKey: ["dead-letters", executionId, task],
    queryFn: ({ signal }) =>
      read("/api/v1/executions/{executionId}/nodes/{node}", {
        path: { executionId, node: task },
        signal,
      }),
  });
  return (
    <Dialog title={say("letters.sendTask", { task })} open wide onClose={close}>
      <p>{say("letters.editHint", { workflow: letter.workflow })}</p>
      {isError && <Problem error={error} retry={() => void refetch()} />}
      {!data && !isError && <Skeleton rows={3} />}
      {data && <EditForm letter={letter} node={data} close={close} />}
    </Dialog>
  );
}

function EditForm({ letter, node, close }: Props & { node: NodeExecution }) {
  const [before] = useState(() => JSON.stringify(node.input ?? null, null, 2));
  const [text, setText] = useState(before);
  const [reason, setReason] = useState("");
  const [sent, setSent] = useState<Rerun>();
  const fault = jsonFault(text);
  const send = async (key: string) => {
    const other = text === before ? {} : { nodeInputs: { [letter.task]: JSON.parse(text) } };
    setSent(
      await write("POST /api/v1/executions/{executionId}:rerun", {
        path: { executionId: letter.executionId },
        body: { fromFailed: true, reason, ...other },
        key,
      }),
    );
  };
  if (sent?.executionId) return <Started executionId={sent.executionId} close={close} />;
  return (
    <ActionForm
      label={say(text === before ? "letters.send" : "letters.sendEdited")}
      disabled={!!fault || !reason.trim()}
      failed={say("letters.notSentOne")}
      close={close}
      act={send}
    >
      <AreaField
        label={say("letters.input")}
        error={fault}
        className="mono"
        rows={10}
        value={text}
        change={setText}
      />
      <ReasonField hint={say("rerun.reasonHint")} value={reason} change={setReason} />
    </ActionForm>
  );
}

function Started({ executionId, close }: { executionId: string; close: () => void }) {
  return (
    <>
      <p role="status">
        {say("letters.started")}{" "}
        <Link to="/executions/$executionId" params={{ executionId }}>
          {executionId}
        </Link>
      </p>
      <DialogActions>
        <Button onClick={close}>{say("action.close")}</Button>
      </DialogActions>
    </>
  );
}
