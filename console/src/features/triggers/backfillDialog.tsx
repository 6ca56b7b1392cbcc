import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import type { TriggerValue } from "@/api/schema";
import { Button, Dialog, DialogActions, Field } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";
import { type BackfillState, backfill } from "./backfill";
import styles from "./page.module.css";

interface Props {
  trigger: TriggerValue;
  range: { from: string; to: string };
  total: number;
  close: () => void;
}

const AT_ONCE = [1, 4, 8, 16] as const;

/** Start the executions of all causes of a range; those that were started are not repeated. */
export function BackfillDialog({ trigger, range, total, close }: Props) {
  const [atOnce, setAtOnce] = useState(4);
  const [state, setState] = useState<BackfillState>();
  const [error, setError] = useState<unknown>();
  const stop = useRef(new AbortController());
  const client = useQueryClient();
  useEffect(() => {
    const controller = stop.current;
    return () => controller.abort();
  }, []);
  const run = async () => {
    setError(undefined);
    stop.current = new AbortController();
    try {
      await backfill({ trigger, range, atOnce, signal: stop.current.signal, report: setState });
    } catch (raised) {
      setError(raised);
      setState((before) => before && { ...before, running: false });
    }
    await client.invalidateQueries({ queryKey: ["triggers"] });
  };
  const running = state?.running ?? false;
  return (
    <Dialog
      title={say("triggers.backfillTitle", { workflow: trigger.workflow })}
      open
      onClose={close}
    >
      <p>{say("triggers.backfillHint", { count: total })}</p>
      <Field label={say("triggers.startsAtOnce")}>
        {({ id }) => (
          <select
            id={id}
            disabled={running}
            value={atOnce}
            onChange={(event) => setAtOnce(Number(event.target.value))}
          >
            {AT_ONCE.map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
        )}
      </Field>
      {state && (
        <div role="status" className={styles.progress}>
          <progress max={Math.max(1, total)} value={state.accepted + state.failed} />
          <span className="numbers">
            {say("triggers.backfilled", { accepted: state.accepted, failed: state.failed, total })}
          </span>
        </div>
      )}
      {state && state.problems.length > 0 && (
        <ul className={styles.problems}>
          {state.problems.map((each) => (
            <li key={each}>{each}</li>
          ))}
        </ul>
      )}
      {error !== undefined && <Problem error={error} title={say("triggers.interrupted")} />}
      <DialogActions>
        <Button onClick={close}>{running ? say("triggers.stopClose") : say("action.close")}</Button>
        <Button kind="primary" disabled={running} onClick={() => void run()}>
          {state && !running ? say("triggers.again") : say("triggers.startCount", { count: total })}
        </Button>
      </DialogActions>
    </Dialog>
  );
}
