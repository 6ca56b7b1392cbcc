import { useQuery } from "@tanstack/react-query";
import { LockKeyhole } from "lucide-react";
import { type ReactNode, useEffect, useState, useSyncExternalStore } from "react";
import { usePreference } from "@/app/preferences";
import { sessionQuery } from "@/app/session";
import { ActionDialog } from "@/design/actionDialog";
import { AreaField } from "@/design/fields";
import { say } from "@/model/messages";
import {
  addKeys,
  askServer,
  isServerAsked,
  keyChanges,
  type Opened,
  onKeys,
  opened,
  type Sealed,
  ServerRefused,
} from "./sealed";
import styles from "./valueTree.module.css";

type State = Opened | "sealed" | "changed" | "refused";

const OPENED = { key: "sealed.opened", server: "sealed.openedByServer" } as const;

/** A sealed value: its content if the page can open it, else the ways to open it. */
export function SealedValue(props: { parts: Sealed; children: (value: unknown) => ReactNode }) {
  const { parts, children } = props;
  const known = useSyncExternalStore(onKeys, keyChanges);
  const [state, setState] = useState<State>("sealed");
  const [asks, setAsks] = useState(false);
  const server = useCodecServer();
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new key may open it
  useEffect(() => {
    let current = true;
    opened(parts, server).then(
      (found) => current && setState(found ?? "sealed"),
      (error) => current && setState(error instanceof ServerRefused ? "refused" : "changed"),
    );
    return () => {
      current = false;
    };
  }, [parts.kid, parts.data, server, known]);
  if (typeof state === "object") {
    return (
      <div>
        <span className="muted">
          <LockKeyhole size={12} aria-hidden /> {say(OPENED[state.by], { key: parts.kid })}
        </span>
        {children(state.value)}
      </div>
    );
  }
  return (
    <div className={styles.leaf}>
      <LockKeyhole size={12} aria-hidden /> {say(`sealed.${state}`, { key: parts.kid })}
      <button type="button" className={styles.more} onClick={() => setAsks(true)}>
        {say("sealed.open")}
      </button>
      {server !== undefined && !isServerAsked() && (
        <button type="button" className={styles.more} onClick={askServer}>
          {say("sealed.openByServer")}
        </button>
      )}
      {asks && <KeyDialog close={() => setAsks(false)} />}
    </div>
  );
}

/** The address of the codec server for the chosen namespace; undefined for none. */
function useCodecServer(): string | undefined {
  const { data } = useQuery(sessionQuery);
  const namespace = usePreference("namespace") || "default";
  return data?.codecServer?.replaceAll("{namespace}", encodeURIComponent(namespace));
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
      failed={say("sealed.noKeys")}
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
