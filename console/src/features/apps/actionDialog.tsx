import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { write } from "@/api/client";
import { ActionDialog } from "@/design/actionDialog";
import { TextField } from "@/design/primitives";
import { say } from "@/model/messages";

/** A change of an application that asks first. */
export type Action =
  | { kind: "stop" | "start" | "delete" }
  | { kind: "rollback"; release: number; serving: number };

interface Props {
  app: string;
  action: Action;
  close: () => void;
  done: (kind: Action["kind"]) => void;
}

/** The consequence of an action; a deletion wants the name typed. */
export function AppActionDialog({ app, action, close, done }: Props) {
  const [typed, setTyped] = useState("");
  const client = useQueryClient();
  const { kind } = action;
  const apply = async (key: string) => {
    await sent(app, action, key);
    await client.invalidateQueries({ queryKey: ["apps"] });
    if (kind !== "delete") await client.invalidateQueries({ queryKey: ["app", app] });
    done(kind);
  };
  const values = {
    app,
    release: "release" in action ? action.release : 0,
    serving: "serving" in action ? action.serving : 0,
  };
  const words = say(`appDo.${kind}`, values);
  return (
    <ActionDialog
      title={words}
      label={words}
      danger={kind === "stop" || kind === "delete"}
      disabled={kind === "delete" && typed !== app}
      failed={say("apps.unchanged")}
      close={close}
      act={apply}
    >
      <p>{say(`appEffect.${kind}`, values)}</p>
      {kind === "delete" && (
        <TextField label={say("apps.typeName", { app })} value={typed} change={setTyped} />
      )}
    </ActionDialog>
  );
}

function sent(app: string, action: Action, key: string): Promise<unknown> {
  const path = { app };
  switch (action.kind) {
    case "rollback":
      return write("POST /api/v1/apps/{app}:rollback", {
        path,
        key,
        body: { release: action.release },
      });
    case "delete":
      return write("DELETE /api/v1/apps/{app}", { path, key });
    case "stop":
      return write("POST /api/v1/apps/{app}:stop", { path, key });
    case "start":
      return write("POST /api/v1/apps/{app}:start", { path, key });
  }
}
