import { Button } from "@/design/primitives";
import { say } from "@/model/messages";
import { diagnosticsKey, fixesOf, offsetsOf, placeOfFinding } from "./diagnostics";
import styles from "./page.module.css";
import { useSession } from "./session";
import { placeOf, select, useBuilder } from "./store";

/** The fault of the syntax, refused edits, and the findings of the server; each leads to its place. */
export function FindingsBar() {
  const session = useSession();
  const state = useBuilder();
  const { fault, notice, findings, checked, text, source, workflow } = state;
  const go = (finding: (typeof findings)[number]) => {
    const { from, to } = offsetsOf(finding, { source, workflow });
    const at = placeOfFinding(finding, source, workflow);
    const shown = placeOf(state);
    const index = shown && at.path[shown.path.length];
    const task = state.tasks.find((each) => each.place.path.at(-1) === index);
    if (task) select([task.id]);
    useBuilder.setState({ panel: "text" });
    session.editor?.show(from, to, true);
  };
  return (
    <section className={styles.findings} aria-label={say("builder.problems")}>
      {notice && (
        <p role="alert" data-severity="error">
          {say("builder.refused", { reason: notice })}
        </p>
      )}
      {fault && (
        <p role="alert" data-severity="error">
          {say("builder.fault", { line: fault.line, column: fault.column, message: fault.message })}
        </p>
      )}
      <p className="muted" role="status">
        {summary(findings.length, checked === text)}
      </p>
      <ul>
        {findings.map((each) => (
          <li key={diagnosticsKey(each)} data-severity={each.severity}>
            <button type="button" onClick={() => go(each)}>
              {each.line ? `${each.line}:${each.column ?? 1} ` : ""}
              {each.message}
            </button>
            <code className="muted">{each.code}</code>
            {fixesOf(each, { source, workflow }).map(({ name, act }) => (
              <Button key={name} small onClick={() => session.edit((before) => act(before))}>
                {name}
              </Button>
            ))}
          </li>
        ))}
      </ul>
    </section>
  );
}

function summary(count: number, fresh: boolean): string {
  if (!fresh) return say("builder.checking");
  return count === 0 ? say("builder.valid") : say("builder.findings", { count });
}
