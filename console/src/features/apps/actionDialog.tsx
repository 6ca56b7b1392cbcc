import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { newKey, write } from "@/api/client";
import { Button, Dialog, DialogActions, Field } from "@/design/primitives";
import { Problem } from "@/design/problem";
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
export function ActionDialog({ app, action, close, done }: Props) {
  const [typed, setTyped] = useState("");
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const [key] = useState(newKey);
  const client = useQueryClient();
  const { kind } = action;
  const apply = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await sent(app, action, key);
      await client.invalidateQueries({ queryKey: ["apps"] });
      if (kind !== "delete") await client.invalidateQueries({ queryKey: ["app", app] });
      done(kind);
    } catch (raised) {
      setError(raised);
      setBusy(false);
    }
  };
  const values = {
    app,
    release: "release" in action ? action.release : 0,
    serving: "serving" in action ? action.serving : 0,
  };
  const words = say(`appDo.${kind}`, values);
  return (
    <Dialog title={words} open onClose={close}>
      <p>{say(`appEffect.${kind}`, values)}</p>
      {kind === "delete" && (
        <Field label={say("apps.typeName", { app })}>
          {({ id }) => (
            <input id={id} value={typed} onChange={(event) => setTyped(event.target.value)} />
          )}
        </Field>
      )}
      {error !== undefined && <Problem error={error} title={say("apps.unchanged")} />}
      <DialogActions>
        <Button onClick={close}>{say("action.back")}</Button>
        <Button
          kind={kind === "start" || kind === "rollback" ? "primary" : "danger"}
          disabled={busy || (kind === "delete" && typed !== app)}
          onClick={() => void apply()}
        >
          {words}
        </Button>
      </DialogActions>
    </Dialog>
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
