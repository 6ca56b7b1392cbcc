import { X } from "lucide-react";
import { useState } from "react";
import { Field, IconButton } from "@/design/primitives";
import styles from "@/editing/inspector.module.css";
import { say } from "@/model/messages";
import type { Json } from "@/model/schema";
import { connect, disconnect, refusal, renameTask } from "@/text/operations";
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
    <Field label={say("builder.id")} hint={say("builder.idHint")}>
      {({ id: field, describedBy }) => (
        <input
          id={field}
          aria-describedby={describedBy}
          value={id}
          onChange={(event) => setId(event.target.value)}
          onBlur={rename}
          onKeyDown={(event) => event.key === "Enter" && rename()}
        />
      )}
    </Field>
  );
}

/** The tasks before this one: the edges of the canvas as a list. */
export function AfterList({ task, tasks }: { task: Task; tasks: readonly Task[] }) {
  const session = useSession();
  const free = tasks.filter((each) => !refusal(tasks, each.id, task.id));
  return (
    <div className={styles.after}>
      <Field label={say("builder.runsAfter")}>
        {({ id }) => (
          <select
            id={id}
            value=""
            onChange={(event) =>
              session.edit((text, place) => connect(text, place, event.target.value, task.id))
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
          </select>
        )}
      </Field>
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
    <Field label={say("builder.undo.by")} hint={say("builder.undo.hint")}>
      {({ id, describedBy }) => (
        <select
          id={id}
          aria-describedby={describedBy}
          value={task.undo ?? ""}
          onChange={(event) => choose(event.target.value)}
        >
          <option value="">{say("builder.undo.none")}</option>
          {[...names].sort().map((each) => (
            <option key={each}>{each}</option>
          ))}
        </select>
      )}
    </Field>
  );
}
