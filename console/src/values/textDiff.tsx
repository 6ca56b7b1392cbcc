import { useMemo } from "react";
import { say } from "@/model/messages";
import { differences, type Hunk } from "@/text/merge";
import styles from "./textDiff.module.css";

const CONTEXT = 3;

/** The changed lines of a text with some around them. */
export function TextDiff({ before, after }: { before: string; after: string }) {
  const hunks = useMemo(() => differences(before, after), [before, after]);
  if (!hunks.some((each) => each.kind !== "same")) {
    return <p className="muted">{say("builder.noChange")}</p>;
  }
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolled region is reached by keys
    <section className={styles.diff} tabIndex={0} aria-label={say("builder.changes")}>
      {hunks.map((hunk, place) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: hunks are known by their place
        <HunkLines key={place} hunk={hunk} first={place === 0} last={place === hunks.length - 1} />
      ))}
    </section>
  );
}

const SIGNS = { same: " ", added: "+", removed: "−" };

function HunkLines({ hunk, first, last }: { hunk: Hunk; first: boolean; last: boolean }) {
  const { kind, lines } = hunk;
  const shown = kind === "same" ? shortened(lines, first, last) : lines;
  return shown.map((line, place) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: lines are known by their place
    <div key={place} data-kind={line === undefined ? "gap" : kind}>
      <span aria-hidden>{line === undefined ? "…" : SIGNS[kind]}</span>
      {kind !== "same" && <span className="visually-hidden">{say(`builder.${kind}`)}</span>}
      {line}
    </div>
  ));
}

function shortened(lines: readonly string[], first: boolean, last: boolean) {
  const head = first ? 0 : CONTEXT;
  const tail = last ? 0 : CONTEXT;
  if (lines.length <= head + tail + 1) return lines;
  return [...lines.slice(0, head), undefined, ...lines.slice(lines.length - tail)];
}
