import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { newKey, read, write } from "@/api/client";
import type { DeadLetterValue, NodeExecution, Rerun } from "@/api/schema";
import { Button, Dialog, DialogActions, Field, Skeleton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";
import { jsonFault } from "@/values/jsonFault";
import styles from "./page.module.css";

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
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const [key] = useState(newKey);
  const fault = jsonFault(text);
  const send = async () => {
    setBusy(true);
    setError(undefined);
    const other = text === before ? {} : { nodeInputs: { [letter.task]: JSON.parse(text) } };
    try {
      setSent(
        await write("POST /api/v1/executions/{executionId}:rerun", {
          path: { executionId: letter.executionId },
          body: { fromFailed: true, reason, ...other },
          key,
        }),
      );
    } catch (raised) {
      setError(raised);
    } finally {
      setBusy(false);
    }
  };
  if (sent?.executionId) return <Started executionId={sent.executionId} close={close} />;
  return (
    <>
      <Field label={say("letters.input")} error={fault}>
        {({ id, describedBy }) => (
          <textarea
            id={id}
            aria-describedby={describedBy}
            className={styles.code}
            rows={10}
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        )}
      </Field>
      <Field label={say("action.reason")} hint={say("rerun.reasonHint")}>
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
      {error !== undefined && <Problem error={error} title={say("letters.notSentOne")} />}
      <DialogActions>
        <Button onClick={close}>{say("action.back")}</Button>
        <Button
          kind="primary"
          disabled={!!fault || !reason.trim() || busy}
          onClick={() => void send()}
        >
          {say(text === before ? "letters.send" : "letters.sendEdited")}
        </Button>
      </DialogActions>
    </>
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
