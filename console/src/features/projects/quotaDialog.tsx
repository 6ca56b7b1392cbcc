import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { write } from "@/api/client";
import type { QuotaValue } from "@/api/schema";
import { ActionDialog } from "@/design/actionDialog";
import { TextField } from "@/design/primitives";
import type { Place } from "@/model/access";
import { say } from "@/model/messages";

const WHOLE = /^\d{0,15}$/;

interface Props {
  place: Place;
  quota: QuotaValue;
  close: () => void;
}

/** The upper bounds of a project. */
export function QuotaDialog({ place, quota, close }: Props) {
  const client = useQueryClient();
  const [typed, setTyped] = useState<Record<string, string>>(() =>
    Object.fromEntries(
      Object.entries(quota).map(([name, bound]) => [name, bound ? `${bound}` : ""]),
    ),
  );
  const wrong = (name: string) => !WHOLE.test(typed[name]?.trim() ?? "");
  const names = Object.keys(quota) as (keyof QuotaValue)[];
  const send = async (key: string) => {
    const path = { projectId: place.id };
    const body = Object.fromEntries(names.map((name) => [name, Number(typed[name]?.trim())]));
    await write("PUT /api/v1/projects/{projectId}/quotas", { path, body, key });
    await client.invalidateQueries({ queryKey: ["projects", "quota"] });
    close();
  };
  return (
    <ActionDialog
      title={say("projects.quotasOf", { project: place.path })}
      label={say("projects.quotas")}
      disabled={names.some(wrong)}
      failed={say("action.notDone")}
      byEnter
      close={close}
      act={send}
    >
      <p>{say("projects.quotasHint")}</p>
      {names.map((name) => (
        <TextField
          key={name}
          label={say(`projects.${name}`)}
          inputMode="numeric"
          error={wrong(name) ? say("projects.notNumber") : undefined}
          value={typed[name] ?? ""}
          change={(text) => setTyped({ ...typed, [name]: text })}
        />
      ))}
    </ActionDialog>
  );
}
