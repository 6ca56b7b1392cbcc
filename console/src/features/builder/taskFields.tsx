import { X } from "lucide-react";
import { useMemo, useState } from "react";
import { SelectField } from "@/design/fields";
import { IconButton, TextField } from "@/design/primitives";
import styles from "@/editing/inspector.module.css";
import { say } from "@/model/messages";
import type { Json } from "@/model/schema";
import { connect, disconnect, freeBranch, possibleBefore, renameTask } from "@/text/operations";
import type { Task } from "@/text/workflow";
import { useLibrary } from "./completion";
import { useSession } from "./session";
import { select, useBuilder } from "./store";

/** The id of a task; a change renames all that refers to it. */
export function IdField({ task }: { task: Task }) {
  const session = useSession();
  const [id, setId] = useState(task.id);
  const rename = () => {
    const wanted = id.trim();
    if (wanted === task.id) return;
    const done = session.edit((text, place) => renameTask(text, place, task.id, wanted));
    if (done) select([wanted]);
    else setId(task.id);
  };
  return (
    <TextField
      label={say("builder.id")}
      hint={say("builder.idHint")}
      value={id}
      onBlur={rename}
      onKeyDown={(event) => event.key === "Enter" && rename()}
      change={setId}
    />
  );
}

/** The tasks before this one: the edges of the canvas as a list. */
export function AfterList({ task, tasks }: { task: Task; tasks: readonly Task[] }) {
  const session = useSession();
  const free = useMemo(() => possibleBefore(tasks, task.id), [tasks, task.id]);
  return (
    <div className={styles.after}>
      <SelectField
        label={say("builder.runsAfter")}
        value=""
        change={(chosen) =>
          session.edit((text, place) =>
            connect(text, place, chosen, task.id, freeBranch(tasks, chosen)),
          )
        }
      >
        <option value="" disabled>
          {say("builder.chooseTask")}
        </option>
        {free.map((each) => (
          <option key={each.id} value={each.id}>
            {each.id}
          </option>
        ))}
      </SelectField>
      <ul>
        {task.after.map((each) => (
          <li key={each.task}>
            <code>{each.task}</code>
            {each.on && <span className="muted">{each.on}</span>}
            <IconButton
              label={say("builder.notAfter", { id: each.task })}
              onClick={() =>
                session.edit((text, place) => disconnect(text, place, each.task, task.id))
              }
            >
              <X size={13} />
            </IconButton>
          </li>
        ))}
      </ul>
    </div>
  );
}

interface UndoProps {
  task: Task;
  edit: (value: Json | undefined) => void;
}

/** The task that takes the effect of this one back: the edge of a saga. */
export function UndoField({ task, edit }: UndoProps) {
  const { tasks } = useLibrary();
  const { source } = useBuilder();
  const own = (source.values as { kind?: string; metadata?: { name?: string } }[]).flatMap(
    (each) => (each?.kind === "WorkflowTask" && each.metadata?.name ? [each.metadata.name] : []),
  );
  const names = new Set([
    ...own,
    ...tasks.map((each) => each.name),
    ...(task.undo ? [task.undo] : []),
  ]);
  const choose = (name: string) => {
    const { undo, ...others } = task.value as Record<string, Json>;
    const before = undo && typeof undo === "object" && !Array.isArray(undo) ? undo : {};
    edit(name ? { ...others, undo: { ...before, taskRef: name } } : others);
  };
  return (
    <SelectField
      label={say("builder.undo.by")}
      hint={say("builder.undo.hint")}
      value={task.undo ?? ""}
      change={choose}
    >
      <option value="">{say("builder.undo.none")}</option>
      {[...names].sort().map((each) => (
        <option key={each}>{each}</option>
      ))}
    </SelectField>
  );
}
