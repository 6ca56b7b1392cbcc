import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { send } from "@/api/client";
import type { Stored } from "@/api/definitions";
import { asProblem } from "@/api/problems";
import type { CompatibilityAnswer } from "@/api/schema";
import { Button, Dialog, DialogActions } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";
import { joined, merged } from "@/text/merge";
import { TextDiff } from "@/values/textDiff";
import styles from "./dialogs.module.css";
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
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const [theirs, setTheirs] = useState<Stored>();
  const errors = findings.filter((each) => each.severity === "error").length;
  const { base } = session.draft;
  const save = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await session.save();
      saved(session.draft.workflow);
    } catch (raised) {
      if (asProblem(raised).reason === "ETAG_MISMATCH") setTheirs(await session.stored());
      else setError(raised);
    } finally {
      setBusy(false);
    }
  };
  if (theirs) return <MergeDialog theirs={theirs} close={close} />;
  return (
    <Dialog wide open title={say("builder.saveTitle")} onClose={close}>
      <TextDiff before={base?.text ?? ""} after={session.text} />
      {base && <Compatibility name={session.draft.workflow} text={session.text} />}
      {errors > 0 && (
        <p role="alert" className={styles.stopped}>
          {say("builder.errors", { count: errors })}
        </p>
      )}
      {error !== undefined && <Problem error={error} title={say("builder.notSaved")} />}
      <DialogActions>
        <Button onClick={close}>{say("action.back")}</Button>
        <Button kind="primary" disabled={busy || errors > 0} onClick={() => void save()}>
          {base
            ? say("builder.saveVersion", { version: base.version + 1 })
            : say("builder.saveNew")}
        </Button>
      </DialogActions>
    </Dialog>
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
    <div className={styles.verdict} data-verdict={verdict}>
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

/** Both changes of one version: merged by line, with a choice where both changed the same. */
function MergeDialog({ theirs, close }: { theirs: Stored; close: () => void }) {
  const session = useSession();
  const { base } = session.draft;
  const mine = session.text;
  const parts = useMemo(() => merged(mine, base?.text ?? "", theirs.text), [mine, base, theirs]);
  const conflicts = parts.flatMap((each) => ("conflict" in each ? [each.conflict] : []));
  const [choices, setChoices] = useState<("mine" | "theirs")[]>([]);
  const result = joined(parts, choices);
  const take = () => {
    session.editor?.apply(result);
    session.rebase(session.draft.workflow || session.draft.name, theirs);
    close();
  };
  return (
    <Dialog wide open title={say("builder.conflict", { version: theirs.version })} onClose={close}>
      <p>{say("builder.conflictText", { count: conflicts.length })}</p>
      {conflicts.map((conflict, place) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a conflict is known by its place
        <fieldset key={place} className={styles.choice}>
          <legend>{say("builder.conflictAt", { place: place + 1 })}</legend>
          {(["mine", "theirs"] as const).map((side) => (
            <label key={side}>
              <input
                type="radio"
                name={`conflict-${place}`}
                checked={(choices[place] ?? "mine") === side}
                onChange={() =>
                  setChoices(
                    conflicts.map((_, at) => (at === place ? side : (choices[at] ?? "mine"))),
                  )
                }
              />
              {say(`builder.${side}`)}
              <pre>{conflict[side].join("\n")}</pre>
            </label>
          ))}
        </fieldset>
      ))}
      <TextDiff before={theirs.text} after={result} />
      <DialogActions>
        <Button onClick={close}>{say("action.back")}</Button>
        <Button kind="primary" onClick={take}>
          {say("builder.merge", { version: theirs.version })}
        </Button>
      </DialogActions>
    </Dialog>
  );
}
