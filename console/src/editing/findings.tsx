import { useState } from "react";
import type { ProblemValue } from "@/api/schema";
import { useKeys } from "@/app/keys";
import { Button } from "@/design/primitives";
import { say } from "@/model/messages";
import { diagnosticsKey, fixesOf } from "./diagnostics";
import type { DraftSession, Shown } from "./draftSession";
import styles from "./page.module.css";

interface Props {
  session: DraftSession;
  shown: Shown;
  go: (finding: ProblemValue) => void;
}

/**
 * The fault of the syntax, refused edits, and the findings of the server; each leads to its place.
 * Warnings alone are folded, so that the canvas has the room.
 */
export function Findings({ session, shown, go }: Props) {
  const { fault, notice, findings, checked, text, source } = shown;
  const [open, setOpen] = useState(false);
  const wrong = findings.some((each) => each.severity === "error");
  const [last, setLast] = useState<number>();
  const step = (by: 1 | -1) => {
    const from = last ?? (by > 0 ? -1 : 0);
    const next = (from + by + findings.length) % findings.length;
    const finding = findings[next];
    if (finding) go(finding);
    setLast(next);
  };
  const some = findings.length > 0;
  useKeys("builder", { F8: some ? ({ shiftKey }) => step(shiftKey ? -1 : 1) : undefined });
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
      <p className={styles.summary}>
        <span className="muted" role="status">
          {summary(findings.length, checked === text)}
        </span>
        {some && !wrong && (
          <Button small kind="quiet" aria-expanded={open} onClick={() => setOpen(!open)}>
            {say(open ? "builder.hideFindings" : "builder.showFindings")}
          </Button>
        )}
      </p>
      <ul hidden={!open && !wrong}>
        {findings.map((each) => (
          <li key={diagnosticsKey(each)} data-severity={each.severity}>
            <button type="button" onClick={() => go(each)}>
              {each.line ? `${each.line}:${each.column ?? 1} ` : ""}
              {each.message}
            </button>
            <code className="muted">{each.code}</code>
            {fixesOf(each, { source }).map(({ name, act }) => (
              <Button key={name} small onClick={() => session.change((before) => act(before))}>
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
