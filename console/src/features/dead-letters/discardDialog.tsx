import { useState } from "react";
import { write } from "@/api/client";
import { Button } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";
import styles from "./page.module.css";
import { ReasonDialog } from "./reasonDialog";

interface Props {
  ids: readonly string[];
  close: () => void;
  done: () => void;
}

/** Take the letters of the chosen executions off the list. */
export function DiscardDialog({ ids, close, done }: Props) {
  return (
    <ReasonDialog
      title={say("letters.discard")}
      consequence={say("letters.discardHint")}
      hint={say("letters.discardReason")}
      label={say("letters.discardCount", { count: ids.length })}
      danger
      failed={say("letters.notDiscarded")}
      close={close}
      send={async (reason, key) => {
        const body = { executionIds: [...ids], reason };
        await write("POST /api/v1/dead-letters:discard", { body, key });
        done();
      }}
    />
  );
}

interface DiscardedProps {
  ids: readonly string[];
  close: () => void;
  restored: () => void;
}

/** What was discarded, and the way back. */
export function Discarded({ ids, close, restored }: DiscardedProps) {
  const [error, setError] = useState<unknown>();
  const undo = async () => {
    setError(undefined);
    try {
      const body = { executionIds: [...ids], reason: say("letters.undone") };
      await write("POST /api/v1/dead-letters:restore", { body });
      restored();
    } catch (raised) {
      setError(raised);
    }
  };
  return (
    <div className={styles.bar} role="status">
      <span className="numbers">{say("letters.discarded", { count: ids.length })}</span>
      <Button small onClick={() => void undo()}>
        {say("letters.undo")}
      </Button>
      <Button small kind="quiet" onClick={close}>
        {say("action.close")}
      </Button>
      {error !== undefined && <Problem error={error} title={say("letters.notRestored")} />}
    </div>
  );
}
