import { useNavigate } from "@tanstack/react-router";
import {
  Ban,
  Columns2,
  Ellipsis,
  ListRestart,
  Pause,
  Play,
  RotateCcw,
  Send,
  Square,
} from "lucide-react";
import { type ReactNode, useState } from "react";
import { useOffered } from "@/app/commands";
import { useKeys } from "@/app/keys";
import { Menu, MenuItem, MenuLine } from "@/design/menu";
import { Button, IconButton } from "@/design/primitives";
import { say } from "@/model/messages";
import styles from "./actions.module.css";
import { type Action, executionActions, HAS_ENDED } from "./actionTable";
import { ask, useAsking } from "./asking";
import { causeOf } from "./cause";
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
  const data = useExecution();
  const { execution, status } = data;
  const { sent } = useAsking();
  const [open, setOpen] = useState(false);
  const actions = execution ? executionActions({ execution, status }) : [];
  const pages = useOtherPages(actions.find((action) => action.id === "rerun")?.refused);
  useOffered([
    ...actions.map((action) => ({
      id: action.id,
      label: `${action.label} this execution`,
      refused: action.refused,
      run: () => ask(action),
    })),
    ...pages,
  ]);
  useKeys("execution", { ".": () => setOpen(true) });
  // The line of the cause has a button for the action that it names.
  const offered = causeOf(data)?.next?.action;
  const buttons = FIRST.map((id) => actions.find((each) => each.id === id)).filter(
    (each): each is Action => !!each && !each.refused && each.id !== offered,
  );
  const menu = actions.filter((action) => action.refused !== HAS_ENDED);
  return (
    <>
      {sent && (
        <span className={styles.asked} role="status">
          {sent.label} asked…
        </span>
      )}
      {buttons.map((action) => (
        <Button key={action.id} icon={ICONS[action.id]} onClick={() => ask(action)}>
          {action.label}
        </Button>
      ))}
      <Menu
        label="Actions"
        open={open}
        onOpenChange={setOpen}
        trigger={
          <IconButton label="All actions">
            <Ellipsis size={16} />
          </IconButton>
        }
      >
        {menu.map((action) => (
          <MenuItem
            key={action.id}
            icon={ICONS[action.id]}
            danger={action.danger}
            refused={action.refused}
            onSelect={() => ask(action)}
          >
            {action.label}
          </MenuItem>
        ))}
        {menu.length > 0 && <MenuLine />}
        {pages.map((page) => (
          <MenuItem key={page.id} icon={page.icon} refused={page.refused} onSelect={page.run}>
            {page.label}
          </MenuItem>
        ))}
      </Menu>
    </>
  );
}

/** The pages that begin with this execution: a rerun with choices, and a comparison. */
function useOtherPages(refused: string | undefined) {
  const { executionId } = useExecution();
  const navigate = useNavigate();
  const params = { executionId };
  return [
    {
      id: "rerun-page",
      label: say("execution.rerunPage"),
      icon: <ListRestart size={14} />,
      refused,
      run: () => void navigate({ to: "/executions/$executionId/rerun", params }),
    },
    {
      id: "compare-page",
      label: say("execution.comparePage"),
      icon: <Columns2 size={14} />,
      refused: undefined,
      run: () => void navigate({ to: "/executions/compare", search: { left: executionId } }),
    },
  ];
}
