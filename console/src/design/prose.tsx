import { Fragment, type ReactNode } from "react";
import styles from "./prose.module.css";

/**
 * Documentation that users write: paragraphs, headings, lists and code of Markdown. HTML and links
 * are shown as text.
 */
export function Prose({ text }: { text: string }) {
  const parts = text.replace(/\r\n?/g, "\n").split(/^```.*$/m);
  return (
    <div className={styles.prose}>
      {parts.map((part, index) => {
        const key = `${index} ${part.length}`;
        if (index % 2 === 1) return <pre key={key}>{part.trim()}</pre>;
        return <Fragment key={key}>{part.split(/\n\s*\n/).map(block)}</Fragment>;
      })}
    </div>
  );
}

function block(text: string, index: number): ReactNode {
  const lines = text.split("\n").filter((each) => each.trim());
  if (lines.length === 0) return null;
  const heading = /^#{1,6} (.+)$/.exec(lines[0] ?? "");
  if (heading) {
    return (
      <Fragment key={index}>
        <h3>{inline(heading[1] ?? "")}</h3>
        {block(lines.slice(1).join("\n"), index)}
      </Fragment>
    );
  }
  if (lines.every((each) => /^\s*[-*] /.test(each))) {
    return (
      <ul key={index}>
        {lines.map((each) => (
          <li key={each}>{inline(each.replace(/^\s*[-*] /, ""))}</li>
        ))}
      </ul>
    );
  }
  return <p key={index}>{inline(lines.join(" "))}</p>;
}

/** Code and strong words of a line. */
function inline(text: string): ReactNode[] {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((part, index) => {
    const key = `${index} ${part}`;
    if (/^`.+`$/.test(part)) return <code key={key}>{part.slice(1, -1)}</code>;
    if (/^\*\*.+\*\*$/.test(part)) return <strong key={key}>{part.slice(2, -2)}</strong>;
    return part;
  });
}
