import { useMemo, useState } from "react";
import type { AppSource } from "@/api/apps";
import { read } from "@/api/client";
import { asProblem } from "@/api/problems";
import type { ReleaseValue } from "@/api/schema";
import { ActionDialog } from "@/design/actionDialog";
import { TextField } from "@/design/primitives";
import styles from "@/editing/dialogs.module.css";
import { MergeDialog } from "@/editing/mergeDialog";
import { say } from "@/model/messages";
import { variablesOf } from "@/text/app";
import { TextDiff } from "@/values/textDiff";
import { useSession } from "./session";
import { useComposer } from "./store";

interface Props {
  /** Names of variables whose values the present release has. */
  known: readonly string[];
  close: () => void;
  deployed: (app: string, release: ReleaseValue) => void;
}

/** The changes before they are deployed, and the merge if another release was deployed meanwhile. */
export function DeployDialog({ known, close, deployed }: Props) {
  const session = useSession();
  const { findings, app } = useComposer();
  const { base, workflow } = session.draft;
  const [name, setName] = useState(() => workflow || slug(app?.name ?? ""));
  const [values, setValues] = useState<Record<string, string>>({});
  const [theirs, setTheirs] = useState<AppSource>();
  const wanted = useMemo(
    () => variablesOf(session.text).filter((each) => !known.includes(each) && each !== "APP_NAME"),
    [session, known],
  );
  // A name without a value is asked for here.
  const errors = findings.filter((each) => each.severity === "error").length;
  const deploy = async () => {
    if (!workflow && (await exists(name))) throw new Error(say("apps.taken", { name }));
    try {
      deployed(name, await session.deploy(name, values));
    } catch (raised) {
      if (asProblem(raised).reason !== "ETAG_MISMATCH") throw raised;
      setTheirs(await session.stored());
    }
  };
  const take = (result: string, other: AppSource) => {
    session.editor?.apply(result);
    session.rebase(workflow, other);
    close();
  };
  if (theirs) {
    return (
      <MergeDialog
        mine={session.text}
        base={base?.text ?? ""}
        theirs={theirs}
        title={say("apps.conflict", { release: theirs.version })}
        button={say("apps.merge", { release: theirs.version })}
        close={close}
        take={(result) => take(result, theirs)}
      />
    );
  }
  return (
    <ActionDialog
      wide
      title={say("apps.deployTitle")}
      label={say("apps.deployAs", { name: name || "…" })}
      busyLabel={say("apps.deploying")}
      disabled={errors > 0 || !name}
      failed={say("apps.notDeployed")}
      close={close}
      act={deploy}
    >
      {!workflow && (
        <TextField
          label={say("apps.appName")}
          hint={say("apps.appNameHint")}
          value={name}
          change={setName}
        />
      )}
      {wanted.map((each) => (
        <TextField
          key={each}
          label={each}
          hint={say("apps.variableHint")}
          type="password"
          autoComplete="off"
          value={values[each] ?? ""}
          change={(text) => setValues({ ...values, [each]: text })}
        />
      ))}
      <TextDiff before={base?.text ?? ""} after={session.text} />
      {errors > 0 && (
        <p role="alert" className={styles.stopped}>
          {say("builder.errors", { count: errors })}
        </p>
      )}
    </ActionDialog>
  );
}

async function exists(app: string): Promise<boolean> {
  const { apps } = await read("/api/v1/apps");
  return apps.some((each) => each.app === app);
}

/** The name of a document as that of a hosted application. */
function slug(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 63);
}
