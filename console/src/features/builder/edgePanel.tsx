import { SelectField } from "@/design/fields";
import { Button } from "@/design/primitives";
import type { Edge } from "@/editing/edgeLines";
import styles from "@/editing/inspector.module.css";
import { say } from "@/model/messages";
import { disconnect, outcomesOf, relabel } from "@/text/operations";
import { useSession } from "./session";
import { useBuilder } from "./store";

/** An edge: the outcome it is taken for, and its removal. */
export function EdgePanel({ edge }: { edge: Edge }) {
  const session = useSession();
  const { tasks } = useBuilder();
  const target = tasks.find((each) => each.id === edge.to);
  const on = target?.after.find((each) => each.task === edge.from)?.on;
  const labels = outcomesOf(tasks.find((each) => each.id === edge.from));
  const choices = [...new Set([...labels, ...(on ? [on] : [])])];
  return (
    <section className={styles.panel} aria-label={say("builder.edgeTitle")}>
      <h2>{say("builder.edgeTitle")}</h2>
      <p>
        <code>{edge.from}</code> → <code>{edge.to}</code>
      </p>
      <SelectField
        label={say("builder.on")}
        hint={say("builder.onHint")}
        value={on ?? ""}
        change={(chosen) =>
          session.edit((text, place) => relabel(text, place, { ...edge, on: chosen || undefined }))
        }
      >
        <option value="">{say("builder.success")}</option>
        {choices.map((each) => (
          <option key={each} value={each}>
            {each}
          </option>
        ))}
      </SelectField>
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
