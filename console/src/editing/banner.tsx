import { type ReactNode, useState } from "react";
import { Button, Dialog, DialogActions } from "@/design/primitives";
import { say } from "@/model/messages";
import { TextDiff } from "@/values/textDiff";
import type { DraftSession } from "./draftSession";
import styles from "./page.module.css";

interface Props {
  session: DraftSession;
  readOnly: string | undefined;
  restored: boolean;
  newer: { text: string } | undefined;
  newerWords: ReactNode;
}

/** A draft that was found again, and versions that others have stored since. */
export function DraftBanner(props: Props) {
  const { session, readOnly, newer } = props;
  const [restored, setRestored] = useState(props.restored);
  const [closed, setClosed] = useState<unknown>();
  const [shown, setShown] = useState<{ before: string; after: string }>();
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
      {newer && newer !== closed && (
        <p className={styles.banner} role="status">
          {props.newerWords}
          <Button small onClick={() => setShown({ before: base, after: newer.text })}>
            {say("builder.showChanges")}
          </Button>
          <Button small onClick={() => setClosed(newer)}>
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
