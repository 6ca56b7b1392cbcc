import { useEffect, useState } from "react";
import type { Stored } from "@/api/definitions";
import { Button, Dialog, DialogActions } from "@/design/primitives";
import { say } from "@/model/messages";
import { TextDiff } from "@/values/textDiff";
import styles from "./page.module.css";
import { onAnnounced, useSession } from "./session";
import { useBuilder } from "./store";
import type { Opened } from "./useDraft";

/** A draft that was found again, and versions that others have stored since. */
export function Banner({ opened }: { opened: Opened }) {
  const session = useSession();
  const { readOnly } = useBuilder();
  const [restored, setRestored] = useState(opened.restored);
  const [newer, setNewer] = useState<Stored | undefined>(opened.newer);
  const [shown, setShown] = useState<{ before: string; after: string }>();
  useEffect(
    () =>
      onAnnounced(({ workflow, draft }) => {
        if (workflow !== session.draft.workflow || draft === session.draft.id) return;
        void session.stored().then(setNewer);
      }),
    [session],
  );
  const base = session.draft.base?.text ?? "";
  const discard = () => {
    session.editor?.apply(base);
    setRestored(false);
  };
  return (
    <>
      {readOnly && <p className={styles.banner}>{readOnly}</p>}
      {restored && (
        <p className={styles.banner} role="status">
          {say("builder.restored")}
          <Button small onClick={() => setShown({ before: base, after: session.text })}>
            {say("builder.showChanges")}
          </Button>
          <Button small onClick={discard}>
            {say("builder.discard")}
          </Button>
          <Button small onClick={() => setRestored(false)}>
            {say("action.close")}
          </Button>
        </p>
      )}
      {newer && (
        <p className={styles.banner} role="status">
          {say("builder.newer", { version: newer.version })}
          <Button small onClick={() => setShown({ before: base, after: newer.text })}>
            {say("builder.showChanges")}
          </Button>
          <Button small onClick={() => setNewer(undefined)}>
            {say("action.close")}
          </Button>
        </p>
      )}
      {shown && (
        <Dialog wide open title={say("builder.changes")} onClose={() => setShown(undefined)}>
          <TextDiff {...shown} />
          <DialogActions>
            <Button onClick={() => setShown(undefined)}>{say("action.close")}</Button>
          </DialogActions>
        </Dialog>
      )}
    </>
  );
}
