import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import type { TriggerValue } from "@/api/schema";
import { ActionDialog } from "@/design/actionDialog";
import { SelectField } from "@/design/fields";
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
  const stop = useRef(new AbortController());
  const client = useQueryClient();
  useEffect(() => {
    const controller = stop.current;
    return () => controller.abort();
  }, []);
  const run = async () => {
    stop.current = new AbortController();
    try {
      await backfill({ trigger, range, atOnce, signal: stop.current.signal, report: setState });
    } catch (raised) {
      setState((before) => before && { ...before, running: false });
      throw raised;
    } finally {
      await client.invalidateQueries({ queryKey: ["triggers"] });
    }
  };
  const running = state?.running ?? false;
  return (
    <ActionDialog
      title={say("triggers.backfillTitle", { workflow: trigger.workflow })}
      label={
        state && !running ? say("triggers.again") : say("triggers.startCount", { count: total })
      }
      disabled={running}
      back={say(running ? "triggers.stopClose" : "action.close")}
      failed={say("triggers.interrupted")}
      close={close}
      act={run}
    >
      <p>{say("triggers.backfillHint", { count: total })}</p>
      <SelectField
        label={say("triggers.startsAtOnce")}
        disabled={running}
        value={atOnce}
        change={(chosen) => setAtOnce(Number(chosen))}
      >
        {AT_ONCE.map((each) => (
          <option key={each}>{each}</option>
        ))}
      </SelectField>
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
    </ActionDialog>
  );
}
