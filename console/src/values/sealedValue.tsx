import { LockKeyhole } from "lucide-react";
import { type ReactNode, useEffect, useState, useSyncExternalStore } from "react";
import { ActionDialog } from "@/design/actionDialog";
import { AreaField } from "@/design/fields";
import { say } from "@/model/messages";
import { addKeys, keyChanges, onKeys, opened, type Sealed } from "./sealed";
import styles from "./valueTree.module.css";

type State = { value: unknown } | "sealed" | "changed";

/** A sealed value: its content if the page has the key, else a button that asks for it. */
export function SealedValue(props: { parts: Sealed; children: (value: unknown) => ReactNode }) {
  const { parts, children } = props;
  const known = useSyncExternalStore(onKeys, keyChanges);
  const [state, setState] = useState<State>("sealed");
  const [asks, setAsks] = useState(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new key may open it
  useEffect(() => {
    let current = true;
    opened(parts).then(
      (found) => current && setState(found ?? "sealed"),
      () => current && setState("changed"),
    );
    return () => {
      current = false;
    };
  }, [parts.kid, parts.data, known]);
  if (typeof state === "object") {
    return (
      <div>
        <span className="muted">
          <LockKeyhole size={12} aria-hidden /> {say("sealed.opened", { key: parts.kid })}
        </span>
        {children(state.value)}
      </div>
    );
  }
  return (
    <div className={styles.leaf}>
      <LockKeyhole size={12} aria-hidden />{" "}
      {say(state === "changed" ? "sealed.changed" : "sealed.sealed", { key: parts.kid })}
      <button type="button" className={styles.more} onClick={() => setAsks(true)}>
        {say("sealed.open")}
      </button>
      {asks && <KeyDialog close={() => setAsks(false)} />}
    </div>
  );
}

function KeyDialog({ close }: { close: () => void }) {
  const [text, setText] = useState("");
  const add = async () => {
    await addKeys(text);
    close();
  };
  return (
    <ActionDialog
      title={say("sealed.open")}
      label={say("sealed.use")}
      close={close}
      act={add}
      failed={say("sealed.refused")}
    >
      <AreaField
        label={say("sealed.keys")}
        hint={say("sealed.hint")}
        value={text}
        change={setText}
        rows={3}
        spellCheck={false}
        autoComplete="off"
      />
    </ActionDialog>
  );
}
