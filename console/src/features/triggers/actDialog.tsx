import { useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { write } from "@/api/client";
import type { TriggerValue } from "@/api/schema";
import { ActionDialog } from "@/design/actionDialog";
import { AreaField } from "@/design/fields";
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
  const [fired, setFired] = useState<string>();
  const client = useQueryClient();
  const wrong = kind === "fire" && input.trim() ? jsonFault(input) : undefined;
  const send = async (key: string) => {
    const path = { name: trigger.workflow, trigger: trigger.id };
    if (kind === "fire") {
      const body = input.trim() ? { input: JSON.parse(input) as unknown } : {};
      const route = "POST /api/v1/workflows/{name}/triggers/{trigger}:fire";
      setFired((await write(route, { path, body, key })).executionId);
    } else {
      await write(`POST /api/v1/workflows/{name}/triggers/{trigger}:${kind}`, { path, key });
      close();
    }
    await client.invalidateQueries({ queryKey: ["triggers"] });
  };
  return (
    <ActionDialog
      title={say("triggers.actTitle", {
        act: TITLES[kind],
        trigger: trigger.id,
        workflow: trigger.workflow,
      })}
      label={fired ? undefined : TITLES[kind]}
      disabled={!!wrong}
      back={fired && say("action.close")}
      failed={say("action.notDone")}
      close={close}
      act={send}
    >
      <p>{CONSEQUENCES[kind]}</p>
      {kind === "fire" && (
        <AreaField
          label={say("triggers.input")}
          hint={say("triggers.inputHint")}
          error={wrong}
          className={styles.code}
          rows={6}
          spellCheck={false}
          value={input}
          change={setInput}
        />
      )}
      {fired && (
        <p role="status">
          {say("triggers.started")}{" "}
          <Link to="/executions/$executionId" params={{ executionId: fired }}>
            {fired}
          </Link>
        </p>
      )}
    </ActionDialog>
  );
}
