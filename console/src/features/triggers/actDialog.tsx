import { useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { newKey, write } from "@/api/client";
import type { TriggerValue } from "@/api/schema";
import { Button, Dialog, DialogActions, Field } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";
import { jsonFault } from "@/values/jsonFault";
import styles from "./page.module.css";

export interface Act {
  kind: "pause" | "resume" | "fire";
  trigger: TriggerValue;
}

const TITLES = {
  pause: say("triggers.pause"),
  resume: say("triggers.resume"),
  fire: say("triggers.fireNow"),
} as const;
const CONSEQUENCES = {
  pause: say("triggers.pauseHint"),
  resume: say("triggers.resumeHint"),
  fire: say("triggers.fireHint"),
} as const;

/** Pause, resume or fire a trigger; it stays open if the server refuses. */
export function ActDialog({ act, close }: { act: Act; close: () => void }) {
  const { kind, trigger } = act;
  const [input, setInput] = useState(() =>
    trigger.input === undefined ? "" : JSON.stringify(trigger.input, undefined, 2),
  );
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const [fired, setFired] = useState<string>();
  const [key] = useState(newKey);
  const client = useQueryClient();
  const wrong = kind === "fire" && input.trim() ? jsonFault(input) : undefined;
  const send = async () => {
    setBusy(true);
    setError(undefined);
    const path = { name: trigger.workflow, trigger: trigger.id };
    try {
      if (kind === "fire") {
        const body = input.trim() ? { input: JSON.parse(input) as unknown } : {};
        const route = "POST /api/v1/workflows/{name}/triggers/{trigger}:fire";
        setFired((await write(route, { path, body, key })).executionId);
      } else {
        await write(`POST /api/v1/workflows/{name}/triggers/{trigger}:${kind}`, { path, key });
        close();
      }
      await client.invalidateQueries({ queryKey: ["triggers"] });
    } catch (raised) {
      setError(raised);
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={say("triggers.actTitle", {
        act: TITLES[kind],
        trigger: trigger.id,
        workflow: trigger.workflow,
      })}
      open
      onClose={close}
    >
      <p>{CONSEQUENCES[kind]}</p>
      {kind === "fire" && (
        <Field label={say("triggers.input")} hint={say("triggers.inputHint")} error={wrong}>
          {({ id, describedBy }) => (
            <textarea
              id={id}
              aria-describedby={describedBy}
              className={styles.code}
              rows={6}
              spellCheck={false}
              value={input}
              onChange={(event) => setInput(event.target.value)}
            />
          )}
        </Field>
      )}
      {error !== undefined && <Problem error={error} title={say("action.notDone")} />}
      {fired && (
        <p role="status">
          {say("triggers.started")}{" "}
          <Link to="/executions/$executionId" params={{ executionId: fired }}>
            {fired}
          </Link>
        </p>
      )}
      <DialogActions>
        <Button onClick={close}>{fired ? say("action.close") : say("action.back")}</Button>
        {!fired && (
          <Button kind="primary" disabled={busy || !!wrong} onClick={() => void send()}>
            {TITLES[kind]}
          </Button>
        )}
      </DialogActions>
    </Dialog>
  );
}
