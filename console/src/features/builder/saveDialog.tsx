import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { send } from "@/api/client";
import type { Stored } from "@/api/definitions";
import { asProblem } from "@/api/problems";
import type { CompatibilityAnswer } from "@/api/schema";
import { ActionDialog } from "@/design/actionDialog";
import frame from "@/design/page.module.css";
import styles from "@/editing/dialogs.module.css";
import { MergeDialog } from "@/editing/mergeDialog";
import { say } from "@/model/messages";
import { TextDiff } from "@/values/textDiff";
import { useSession } from "./session";
import { useBuilder } from "./store";

interface Props {
  close: () => void;
  saved: (workflow: string) => void;
}

/** The changes before they are stored, and the merge if another version was stored meanwhile. */
export function SaveDialog({ close, saved }: Props) {
  const session = useSession();
  const { findings } = useBuilder();
  const [theirs, setTheirs] = useState<Stored>();
  const errors = findings.filter((each) => each.severity === "error").length;
  const { base } = session.draft;
  const save = async () => {
    try {
      await session.save();
      saved(session.draft.workflow);
    } catch (raised) {
      if (asProblem(raised).reason !== "ETAG_MISMATCH") throw raised;
      setTheirs(await session.stored());
    }
  };
  const take = (result: string, other: Stored) => {
    session.editor?.apply(result);
    session.rebase(session.draft.workflow || session.draft.name, other);
    close();
  };
  if (theirs) {
    return (
      <MergeDialog
        mine={session.text}
        base={base?.text ?? ""}
        theirs={theirs}
        title={say("builder.conflict", { version: theirs.version })}
        button={say("builder.merge", { version: theirs.version })}
        close={close}
        take={(result) => take(result, theirs)}
      />
    );
  }
  return (
    <ActionDialog
      wide
      title={say("builder.saveTitle")}
      label={
        base ? say("builder.saveVersion", { version: base.version + 1 }) : say("builder.saveNew")
      }
      disabled={errors > 0}
      failed={say("builder.notSaved")}
      close={close}
      act={save}
    >
      <TextDiff before={base?.text ?? ""} after={session.text} />
      {base && <Compatibility name={session.draft.workflow} text={session.text} />}
      {errors > 0 && (
        <p role="alert" className={styles.stopped}>
          {say("builder.errors", { count: errors })}
        </p>
      )}
    </ActionDialog>
  );
}

/** The verdict on callers and running executions, before a version is made. */
function Compatibility({ name, text }: { name: string; text: string }) {
  const found = useQuery({
    queryKey: ["compatibility", name, text],
    queryFn: async ({ signal }) => {
      const contentType = /^\s*[{[]/.test(text) ? "application/json" : "application/yaml";
      const response = await send("/api/v1/workflows/{name}/compatibility", {
        method: "POST",
        path: { name },
        body: text,
        contentType,
        signal,
      });
      return (await response.json()) as CompatibilityAnswer;
    },
    retry: false,
  });
  if (!found.data) return null;
  const { verdict, reasons } = found.data;
  return (
    <div className={`${frame.verdict} ${styles.verdict}`} data-verdict={verdict}>
      <strong>{say(`builder.verdict.${verdict}`)}</strong>
      <ul>
        {reasons.map((each) => (
          <li key={JSON.stringify(each)}>{reasonText(each)}</li>
        ))}
      </ul>
    </div>
  );
}

function reasonText(reason: object): string {
  const { message, description, path } = reason as Record<string, string>;
  return [path, message ?? description].filter(Boolean).join(": ");
}
