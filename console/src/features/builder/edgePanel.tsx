import { Button, Field } from "@/design/primitives";
import type { Edge } from "@/editing/edgeLines";
import styles from "@/editing/inspector.module.css";
import { say } from "@/model/messages";
import { disconnect, relabel } from "@/text/operations";
import type { Task } from "@/text/workflow";
import { useSession } from "./session";
import { useBuilder } from "./store";

/** An edge: the outcome it is taken for, and its removal. */
export function EdgePanel({ edge }: { edge: Edge }) {
  const session = useSession();
  const { tasks } = useBuilder();
  const target = tasks.find((each) => each.id === edge.to);
  const on = target?.after.find((each) => each.task === edge.from)?.on;
  const labels = labelsOf(tasks.find((each) => each.id === edge.from));
  const choices = [...new Set([...labels, ...(on ? [on] : [])])];
  return (
    <section className={styles.panel} aria-label={say("builder.edgeTitle")}>
      <h2>{say("builder.edgeTitle")}</h2>
      <p>
        <code>{edge.from}</code> → <code>{edge.to}</code>
      </p>
      <Field label={say("builder.on")} hint={say("builder.onHint")}>
        {({ id, describedBy }) => (
          <select
            id={id}
            aria-describedby={describedBy}
            value={on ?? ""}
            onChange={(event) =>
              session.edit((text, place) =>
                relabel(text, place, { ...edge, on: event.target.value || undefined }),
              )
            }
          >
            <option value="">{say("builder.success")}</option>
            {choices.map((each) => (
              <option key={each} value={each}>
                {each}
              </option>
            ))}
          </select>
        )}
      </Field>
      <div className={styles.actions}>
        <Button
          small
          kind="danger"
          onClick={() => session.edit((text, place) => disconnect(text, place, edge.from, edge.to))}
        >
          {say("builder.removeEdge")}
        </Button>
      </div>
    </section>
  );
}

/** Outcomes besides success: failure, and the conditions of a decision. */
function labelsOf(task: Task | undefined): string[] {
  const decision = (task?.value.decision ?? {}) as {
    conditions?: { id?: string }[];
    default?: string[];
  };
  const named = [
    ...(decision.conditions ?? []).map((each) => each?.id ?? ""),
    ...(Array.isArray(decision.default) ? decision.default : []),
  ];
  return [...named.filter(Boolean), "failure"];
}
