import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import type { TriggerValue } from "@/api/schema";
import { Button, Dialog, DialogActions, Field } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { count, plural } from "@/model/durations";
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
    <Dialog title={`Backfill ${trigger.workflow}`} open onClose={close}>
      <p>
        An execution starts for each of {plural(total, "cause")}. A cause that has started one
        already starts no second one, so an interrupted backfill can be run again.
      </p>
      <Field label="Starts at once">
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
            {count(state.accepted)} accepted, {count(state.failed)} failed of {count(total)}
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
      {error !== undefined && <Problem error={error} title="The backfill was interrupted" />}
      <DialogActions>
        <Button onClick={close}>{running ? "Stop and close" : "Close"}</Button>
        <Button kind="primary" disabled={running} onClick={() => void run()}>
          {state && !running ? "Run it again" : `Start ${plural(total, "execution")}`}
        </Button>
      </DialogActions>
    </Dialog>
  );
}
