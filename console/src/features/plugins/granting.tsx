import { useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { asProblem } from "@/api/problems";
import { ActionDialog } from "@/design/actionDialog";
import { say } from "@/model/messages";
import styles from "./page.module.css";
import { Words } from "./words";

interface Props {
  title: string;
  label: string;
  disabled?: boolean;
  /** Identifies what is asked for; another one is granted anew. */
  asking: string;
  close: () => void;
  /** Sends the call with the permissions that were granted. */
  send: (accepted: string[]) => Promise<unknown>;
  children: ReactNode;
}

/** A change of a plugin: the permissions that it lacks are shown, and granted by a second step. */
export function GrantingDialog({ asking, send, close, label, children, ...dialog }: Props) {
  const client = useQueryClient();
  const [lacking, setLacking] = useState<{ asking: string; words: string[] }>();
  const words = lacking?.asking === asking ? lacking.words : [];
  const act = async () => {
    try {
      await send(words);
    } catch (raised) {
      const { reason, details } = asProblem(raised);
      if (reason !== "PLUGIN_NOT_ACCEPTED") throw raised;
      setLacking({ asking, words: details.map((each) => each.description) });
      return;
    }
    await client.invalidateQueries({ queryKey: ["plugins"] });
    close();
  };
  return (
    <ActionDialog
      {...dialog}
      label={words.length > 0 ? say("plugins.grant") : label}
      failed={say("action.notDone")}
      close={close}
      act={act}
    >
      {children}
      {words.length > 0 && (
        <div className={styles.asked} role="alert">
          <p>{say("plugins.asks")}</p>
          <Words of={words} />
        </div>
      )}
    </ActionDialog>
  );
}
