import { Button, CopyButton, Dialog, DialogActions } from "@/design/primitives";
import { say } from "@/model/messages";
import styles from "./page.module.css";

interface Props {
  title: string;
  label: string;
  hint: string;
  secret: string;
  close: () => void;
}

/** A secret that is shown once. */
export function SecretDialog({ title, label, hint, secret, close }: Props) {
  return (
    <Dialog title={title} open onClose={close}>
      <p>{hint}</p>
      <p className={styles.secret}>
        <code aria-label={label} role="note">
          {secret}
        </code>
        <CopyButton text={secret} label={say("keys.copy")} />
      </p>
      <DialogActions>
        <Button kind="primary" onClick={close}>
          {say("keys.done")}
        </Button>
      </DialogActions>
    </Dialog>
  );
}
