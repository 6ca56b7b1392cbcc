import { Plus, X } from "lucide-react";
import { useState } from "react";
import { create } from "zustand";
import { persist } from "zustand/middleware";
import type { ListSearch } from "@/app/routes";
import { ActionDialog } from "@/design/actionDialog";
import { Button, IconButton, TextField } from "@/design/primitives";
import { say } from "@/model/messages";
import styles from "./savedViews.module.css";

interface View {
  name: string;
  search: ListSearch;
}

const BUILT_IN: readonly View[] = [
  { name: say("executions.all"), search: {} },
  {
    name: say("executions.running"),
    search: { q: "status IN (running, paused, pending)", range: "all" },
  },
  { name: say("executions.failed"), search: { q: "status = failed" } },
  { name: say("executions.slow"), search: { q: 'duration > "5m"' } },
];
const VIEWS_MAX = 40;

const useViews = create<{ views: readonly View[] }>()(
  persist(() => ({ views: [] as readonly View[] }), { name: "flowmesh.views", version: 1 }),
);

interface Props {
  search: ListSearch;
  change: (values: Partial<ListSearch>) => void;
}

/** Views as tabs: the common ones, and those that the reader saved in this browser. */
export function SavedViews({ search, change }: Props) {
  const { views } = useViews();
  const [naming, setNaming] = useState(false);
  const show = (view: View) =>
    change({
      q: undefined,
      range: undefined,
      from: undefined,
      to: undefined,
      order: undefined,
      columns: undefined,
      ...view.search,
    });
  const remove = (name: string) =>
    useViews.setState({ views: views.filter((each) => each.name !== name) });
  const known = [...BUILT_IN, ...views].some((view) => same(view.search, search));
  return (
    <div className={styles.views} role="group" aria-label={say("executions.views")}>
      {[...BUILT_IN, ...views].map((view) => (
        <span key={view.name} className={styles.view}>
          <button type="button" aria-pressed={same(view.search, search)} onClick={() => show(view)}>
            {view.name}
          </button>
          {views.includes(view) && same(view.search, search) && (
            <IconButton
              label={say("executions.deleteView", { name: view.name })}
              onClick={() => remove(view.name)}
            >
              <X size={12} />
            </IconButton>
          )}
        </span>
      ))}
      {!known && (
        <Button small kind="quiet" icon={<Plus size={13} />} onClick={() => setNaming(true)}>
          {say("executions.saveView")}
        </Button>
      )}
      {naming && (
        <NameDialog
          taken={[...BUILT_IN, ...views].map((view) => view.name)}
          close={() => setNaming(false)}
          save={(name) =>
            useViews.setState({ views: [...views, { name, search }].slice(-VIEWS_MAX) })
          }
        />
      )}
    </div>
  );
}

function NameDialog(props: { taken: string[]; close: () => void; save: (name: string) => void }) {
  const [name, setName] = useState("");
  const trimmed = name.trim();
  const taken = props.taken.includes(trimmed);
  return (
    <ActionDialog
      title={say("executions.saveThis")}
      label={say("executions.saveView")}
      disabled={!trimmed || taken}
      back={say("executions.cancel")}
      byEnter
      close={props.close}
      act={() => {
        props.save(trimmed);
        props.close();
      }}
    >
      <TextField
        label={say("executions.name")}
        hint={say("executions.nameHint")}
        error={taken ? say("executions.nameTaken") : undefined}
        value={name}
        maxLength={40}
        change={setName}
      />
    </ActionDialog>
  );
}

function same(left: ListSearch, right: ListSearch): boolean {
  const names = new Set([...Object.keys(left), ...Object.keys(right)]) as Set<keyof ListSearch>;
  return [...names].every((name) => left[name] === right[name]);
}
