/** The action that is being asked for, and those that were sent and are not in the history yet. */

import { useEffect } from "react";
import { create } from "zustand";
import { ExecutionActionDialog } from "./actionDialog";
import type { Action } from "./actionTable";
import { useExecution } from "./data";

interface Asking {
  action: Action;
  node?: string | undefined;
}

interface State {
  asking: Asking | undefined;
  /** The last action that was accepted, and the event after which it can be seen. */
  sent: { label: string; after: number } | undefined;
}

export const useAsking = create<State>(() => ({ asking: undefined, sent: undefined }));

/** Ask for what an action needs, and do it. */
export function ask(action: Action, node?: string): void {
  useAsking.setState({ asking: { action, node } });
}

export function AskedDialog() {
  const { executionId, history } = useExecution();
  const { asking, sent } = useAsking();
  const close = () => useAsking.setState({ asking: undefined });
  useEffect(() => {
    if (sent && history.lastSequence > sent.after) useAsking.setState({ sent: undefined });
  }, [sent, history.lastSequence]);
  useEffect(() => () => useAsking.setState({ asking: undefined, sent: undefined }), []);
  if (!asking) return null;
  return (
    <ExecutionActionDialog
      action={asking.action}
      executionId={executionId}
      node={asking.node}
      close={close}
      asked={(action) =>
        useAsking.setState({ sent: { label: action.label, after: history.lastSequence } })
      }
    />
  );
}
