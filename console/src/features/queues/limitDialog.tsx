import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { write } from "@/api/client";
import type { LimitRequest, LimitValue } from "@/api/schema";
import { ActionDialog, ReasonField } from "@/design/actionDialog";
import { SelectField } from "@/design/fields";
import { TextField } from "@/design/primitives";
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
  const client = useQueryClient();
  const send = async (key: string) => {
    if (remove) {
      await write("DELETE /api/v1/limits", { query: { kind, subject, reason }, key });
    } else {
      const body = { kind, subject: subject.trim(), reason, ...values };
      await write("PUT /api/v1/limits", { body, key });
    }
    await client.invalidateQueries({ queryKey: ["live", "limits"] });
    close();
  };
  const names = NUMBERS.filter(({ kinds }) => !kinds || kinds.includes(kind));
  const title = remove
    ? say("queues.deleteLimit")
    : limit
      ? say("queues.changeLimit")
      : say("queues.setLimit");
  return (
    <ActionDialog
      title={title}
      label={say(remove ? "queues.deleteLimit" : "queues.setTheLimit")}
      danger={remove}
      disabled={!reason.trim()}
      failed={say("queues.limitSame")}
      close={close}
      act={send}
    >
      <p>{remove ? say("queues.deleteHint") : say("queues.setHint")}</p>
      <SelectField
        label={say("queues.kind")}
        value={kind}
        disabled={!!limit}
        change={(chosen) => setKind(chosen as Kind)}
      >
        {KINDS.map((each) => (
          <option key={each} value={each}>
            {each.replace("_", " ")}
          </option>
        ))}
      </SelectField>
      <TextField
        label={say("queues.of")}
        hint={SUBJECTS[kind]}
        value={subject}
        readOnly={!!limit}
        change={setSubject}
      />
      {!remove && (
        <div className={styles.numbers}>
          {names.map(({ name, label }) => (
            <TextField
              key={name}
              label={label}
              type="number"
              min={0}
              value={values[name]}
              change={(text) => setValues({ ...values, [name]: Number(text) })}
            />
          ))}
        </div>
      )}
      <ReasonField hint={say("queues.reasonHint")} value={reason} change={setReason} />
    </ActionDialog>
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
