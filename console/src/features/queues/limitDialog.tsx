import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { newKey, write } from "@/api/client";
import type { LimitRequest, LimitValue } from "@/api/schema";
import { Button, Dialog, DialogActions, Field } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";
import styles from "./page.module.css";

/** A limit that is set anew, changed, or removed. */
export interface Editing {
  limit?: LimitValue;
  remove?: boolean;
}

type Kind = LimitRequest["kind"];

const KINDS: readonly Kind[] = ["workflow", "task_type", "node", "upstream", "queue", "namespace"];
const SUBJECTS: Record<Kind, string> = {
  workflow: say("queues.ofWorkflow"),
  task_type: say("queues.ofTaskType"),
  node: say("queues.ofNode"),
  upstream: say("queues.ofUpstream"),
  queue: say("queues.ofQueue"),
  namespace: say("queues.ofNamespace"),
};

export function LimitDialog({ editing, close }: { editing: Editing; close: () => void }) {
  const { limit, remove } = editing;
  const [kind, setKind] = useState<Kind>((limit?.kind as Kind | undefined) ?? "workflow");
  const [subject, setSubject] = useState(limit?.subject ?? "");
  const [values, setValues] = useState<Record<string, number>>({
    concurrency: limit?.concurrency ?? 0,
    rate: limit?.rate ?? 0,
    burst: limit?.burst ?? 0,
    weight: limit?.weight ?? 0,
    maxSize: limit?.maxSize ?? 0,
    retries: limit?.retries ?? 0,
  });
  const [reason, setReason] = useState("");
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const [key] = useState(newKey);
  const client = useQueryClient();
  const send = async () => {
    setBusy(true);
    setError(undefined);
    try {
      if (remove) {
        await write("DELETE /api/v1/limits", { query: { kind, subject, reason }, key });
      } else {
        const body = { kind, subject: subject.trim(), reason, ...values };
        await write("PUT /api/v1/limits", { body, key });
      }
      await client.invalidateQueries({ queryKey: ["live", "limits"] });
      close();
    } catch (raised) {
      setError(raised);
      setBusy(false);
    }
  };
  const names = NUMBERS.filter(({ kinds }) => !kinds || kinds.includes(kind));
  const title = remove
    ? say("queues.deleteLimit")
    : limit
      ? say("queues.changeLimit")
      : say("queues.setLimit");
  return (
    <Dialog title={title} open onClose={close}>
      <p>{remove ? say("queues.deleteHint") : say("queues.setHint")}</p>
      <Field label={say("queues.kind")}>
        {({ id }) => (
          <select
            id={id}
            value={kind}
            disabled={!!limit}
            onChange={(event) => setKind(event.target.value as Kind)}
          >
            {KINDS.map((each) => (
              <option key={each} value={each}>
                {each.replace("_", " ")}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label={say("queues.of")} hint={SUBJECTS[kind]}>
        {({ id, describedBy }) => (
          <input
            id={id}
            aria-describedby={describedBy}
            value={subject}
            readOnly={!!limit}
            onChange={(event) => setSubject(event.target.value)}
          />
        )}
      </Field>
      {!remove && (
        <div className={styles.numbers}>
          {names.map(({ name, label }) => (
            <Field key={name} label={label}>
              {({ id }) => (
                <input
                  id={id}
                  type="number"
                  min={0}
                  value={values[name]}
                  onChange={(event) => setValues({ ...values, [name]: Number(event.target.value) })}
                />
              )}
            </Field>
          ))}
        </div>
      )}
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
      {error !== undefined && <Problem error={error} title={say("queues.limitSame")} />}
      <DialogActions>
        <Button onClick={close}>{say("action.back")}</Button>
        <Button
          kind={remove ? "danger" : "primary"}
          disabled={busy || !reason.trim()}
          onClick={() => void send()}
        >
          {say(remove ? "queues.deleteLimit" : "queues.setTheLimit")}
        </Button>
      </DialogActions>
    </Dialog>
  );
}

interface NumberField {
  name: string;
  label: string;
  kinds?: readonly Kind[];
}

const NUMBERS: readonly NumberField[] = [
  { name: "concurrency", label: say("queues.tasksAtOnce") },
  { name: "rate", label: say("queues.startsPerSecond") },
  { name: "burst", label: say("queues.burst") },
  { name: "weight", label: say("queues.weight"), kinds: ["namespace"] },
  { name: "maxSize", label: say("queues.maxSize"), kinds: ["queue"] },
  { name: "retries", label: say("queues.retries"), kinds: ["workflow", "upstream"] },
];
