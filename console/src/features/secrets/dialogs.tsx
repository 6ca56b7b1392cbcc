import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { write } from "@/api/client";
import { ActionDialog } from "@/design/actionDialog";
import { AreaField } from "@/design/fields";
import { TextField } from "@/design/primitives";
import type { Place } from "@/model/access";
import { say } from "@/model/messages";

interface Props {
  project: Place;
  /** The secret; absent for a new one. */
  name: string | undefined;
  close: () => void;
}

/** The first version of a secret, or a further one. */
export function StoreDialog({ project, name, close }: Props) {
  const client = useQueryClient();
  const [typed, setTyped] = useState("");
  const [value, setValue] = useState("");
  const secret = name ?? typed.trim();
  const send = async (key: string) => {
    const path = { projectId: project.id, secret };
    const body = { value };
    await write("PUT /api/v1/projects/{projectId}/secrets/{secret}", { path, body, key });
    await client.invalidateQueries({ queryKey: ["secrets", "list"] });
    close();
  };
  return (
    <ActionDialog
      title={name ? say("secrets.rotateTitle", { name }) : say("secrets.store")}
      label={say("secrets.storeGo")}
      disabled={!secret || !value}
      failed={say("action.notDone")}
      close={close}
      act={send}
    >
      {name ? (
        <p>{say("secrets.rotateHint")}</p>
      ) : (
        <TextField
          label={say("secrets.name")}
          hint={say("secrets.nameHint")}
          required
          value={typed}
          change={setTyped}
        />
      )}
      <AreaField
        label={say("secrets.value")}
        hint={say("secrets.valueHint")}
        required
        rows={4}
        autoComplete="off"
        spellCheck={false}
        value={value}
        change={setValue}
      />
    </ActionDialog>
  );
}

export function DeleteDialog({ project, name, close }: Props & { name: string }) {
  const client = useQueryClient();
  const send = async (key: string) => {
    const path = { projectId: project.id, secret: name };
    await write("DELETE /api/v1/projects/{projectId}/secrets/{secret}", { path, key });
    await client.invalidateQueries({ queryKey: ["secrets", "list"] });
    close();
  };
  return (
    <ActionDialog
      title={say("secrets.deleteTitle", { name })}
      label={say("secrets.delete")}
      danger
      failed={say("action.notDone")}
      close={close}
      act={send}
    >
      <p>{say("secrets.deleteHint")}</p>
    </ActionDialog>
  );
}
