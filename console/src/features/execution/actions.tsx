import { Ban, Ellipsis, Pause, Play, RotateCcw, Send, Square } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import { useOffered } from "@/app/commands";
import { useKeys } from "@/app/keys";
import { Menu, MenuItem } from "@/design/menu";
import { Button, IconButton } from "@/design/primitives";
import { ActionDialog } from "./actionDialog";
import styles from "./actions.module.css";
import { type Action, executionActions } from "./actionTable";
import { useExecution } from "./data";

const ICONS: Record<string, ReactNode> = {
  pause: <Pause size={14} />,
  resume: <Play size={14} />,
  signal: <Send size={14} />,
  rerun: <RotateCcw size={14} />,
  cancel: <Ban size={14} />,
  terminate: <Square size={14} />,
};
/** The actions with a button of their own, by how often they are wanted; the rest is a menu. */
const FIRST = ["resume", "pause", "rerun"];

export function Actions() {
  const { execution, executionId, status, history } = useExecution();
  const [chosen, setChosen] = useState<Action>();
  const [asked, setAsked] = useState<{ label: string; sequence: number }>();
  const actions = execution ? executionActions({ execution, status }) : [];
  useEffect(() => {
    if (asked && history.lastSequence > asked.sequence) setAsked(undefined);
  }, [asked, history.lastSequence]);
  useOffered(
    actions.map((action) => ({
      id: action.id,
      label: `${action.label} this execution`,
      refused: action.refused,
      run: () => setChosen(action),
    })),
  );
  useKeys({ ".": () => document.getElementById("execution-actions")?.click() });
  const buttons = FIRST.map((id) => actions.find((each) => each.id === id)).filter(
    (each): each is Action => !!each && !each.refused,
  );
  return (
    <>
      {asked && (
        <span className={styles.asked} role="status">
          {asked.label} asked…
        </span>
      )}
      {buttons.map((action) => (
        <Button key={action.id} icon={ICONS[action.id]} onClick={() => setChosen(action)}>
          {action.label}
        </Button>
      ))}
      <Menu
        label="Actions"
        trigger={
          <IconButton id="execution-actions" label="All actions">
            <Ellipsis size={16} />
          </IconButton>
        }
      >
        {actions.map((action) => (
          <MenuItem
            key={action.id}
            icon={ICONS[action.id]}
            danger={action.danger}
            refused={action.refused}
            onSelect={() => setChosen(action)}
          >
            {action.label}
          </MenuItem>
        ))}
      </Menu>
      {chosen && (
        <ActionDialog
          action={chosen}
          executionId={executionId}
          close={() => setChosen(undefined)}
          asked={(action) => setAsked({ label: action.label, sequence: history.lastSequence })}
        />
      )}
    </>
  );
}
