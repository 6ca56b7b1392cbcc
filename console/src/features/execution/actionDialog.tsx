import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { write } from "@/api/client";
import type { Writes } from "@/api/schema";
import { prefer, usePreference } from "@/app/preferences";
import { ActionDialog, ReasonField } from "@/design/actionDialog";
import { Field, TextField } from "@/design/primitives";
import { say } from "@/model/messages";
import type { Action, ActionInput } from "./actionTable";

interface Props {
  action: Action;
  executionId: string;
  node?: string | undefined;
  close: () => void;
  /** Told that the call was accepted; the change itself arrives as an event. */
  asked: (action: Action) => void;
}

const SLOW_MS = 5_000;

/** Asks for what an action needs; stays open with the error if the server refuses it. */
export function ExecutionActionDialog({ action, executionId, node, close, asked }: Props) {
  const [values, setValues] = useState<Record<string, string>>(() =>
    Object.fromEntries(action.inputs.map((input) => [input.name, input.initial ?? ""])),
  );
  const [reason, setReason] = useState("");
  const [slow, setSlow] = useState(false);
  const actor = usePreference("actor");
  const navigate = useNavigate();
  const problems = Object.fromEntries(
    action.inputs.map((input) => [input.name, problemOf(input, values[input.name] ?? "")]),
  );
  const missing = action.reason && !reason.trim();
  const refused = missing || Object.values(problems).some(Boolean);
  const send = async (key: string) => {
    const timer = setTimeout(() => setSlow(true), SLOW_MS);
    try {
      const path = { executionId, ...(node && { node }) };
      const answer = await write(action.operation, {
        path,
        body: bodyOf(action, values, reason, actor),
        key,
      });
      asked(action);
      close();
      const started = (answer as { executionId?: string }).executionId;
      if (action.id === "rerun" && started) {
        void navigate({ to: "/executions/$executionId", params: { executionId: started } });
      }
    } finally {
      clearTimeout(timer);
      setSlow(false);
    }
  };
  return (
    <ActionDialog
      title={node ? `${action.label}: ${node}` : action.label}
      label={action.label}
      busyLabel="Asked…"
      danger={action.danger}
      disabled={!!refused}
      failed={say("action.notDone")}
      byEnter
      close={close}
      act={send}
    >
      <p className="muted">{action.consequence}</p>
      {action.inputs.map((input) => (
        <Field key={input.name} label={input.label} error={problems[input.name]}>
          {({ id, describedBy }) => {
            const shared = {
              id,
              "aria-describedby": describedBy,
              value: values[input.name] ?? "",
              spellCheck: input.kind === "text",
              onChange: (change: { target: { value: string } }) =>
                setValues({ ...values, [input.name]: change.target.value }),
            };
            return input.kind === "json" ? (
              <textarea {...shared} className="mono" rows={6} />
            ) : (
              <input {...shared} />
            );
          }}
        </Field>
      ))}
      {action.reason && (
        <ReasonField
          hint="Recorded in the history of the execution."
          value={reason}
          change={setReason}
        />
      )}
      <TextField
        label="Your name"
        hint="Recorded as the actor; not verified unless you are signed in."
        value={actor}
        maxLength={200}
        change={(text) => prefer({ actor: text })}
      />
      {slow && (
        <p role="status">
          The server has not answered yet. The request can be repeated safely: it counts once.
        </p>
      )}
    </ActionDialog>
  );
}

function problemOf(input: ActionInput, value: string): string | undefined {
  if (!value.trim()) return input.required ? "A value is needed." : undefined;
  if (input.kind !== "json") return undefined;
  try {
    JSON.parse(value);
    return undefined;
  } catch (raised) {
    return `This is not JSON: ${raised instanceof Error ? raised.message : raised}`;
  }
}

function bodyOf(
  action: Action,
  values: Record<string, string>,
  reason: string,
  actor: string,
): Partial<Writes[keyof Writes]["body"]> {
  const body: Record<string, unknown> = { ...action.body };
  for (const input of action.inputs) {
    const text = values[input.name] ?? "";
    if (!text.trim() || (!input.required && text === input.initial)) continue;
    const name = input.name === "signal" ? "name" : input.name;
    body[name] = input.kind === "json" ? JSON.parse(text) : text;
  }
  if (action.reason) body.reason = reason;
  if (action.id === "approve" || action.id === "reject") body.by = actor || "console";
  return body as Partial<Writes[keyof Writes]["body"]>;
}
