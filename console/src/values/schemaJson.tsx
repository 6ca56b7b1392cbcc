import { useEffect, useState } from "react";
import { AreaField } from "@/design/fields";
import { type FieldProps, hintOf, labelOf } from "./schemaForm";
import styles from "./schemaForm.module.css";

/** A value of any form as JSON text; while the text is not JSON, the last value stays. */
export function JsonField(props: FieldProps) {
  const { value, change, problems, path, schema } = props;
  const [text, setText] = useState(() =>
    value === undefined ? "" : JSON.stringify(value, undefined, 2),
  );
  const wrong = mistake(text);
  const shown = value === undefined ? "" : JSON.stringify(value, undefined, 2);
  // A value that was changed elsewhere, such as by undo, is shown.
  useEffect(() => {
    setText((before) => (mistake(before) || compact(before) === compact(shown) ? before : shown));
  }, [shown]);
  const set = (next: string) => {
    setText(next);
    if (!next.trim()) change(undefined);
    else if (!mistake(next)) change(JSON.parse(next));
  };
  return (
    <AreaField
      label={`${labelOf(props)}, as JSON`}
      hint={hintOf(schema)}
      error={wrong ?? problems.get(path)}
      className={styles.code}
      rows={4}
      spellCheck={false}
      value={text}
      change={set}
    />
  );
}

function compact(text: string): string {
  return text.trim() ? JSON.stringify(JSON.parse(text)) : "";
}

function mistake(text: string): string | undefined {
  if (!text.trim()) return undefined;
  try {
    JSON.parse(text);
    return undefined;
  } catch (raised) {
    return `This is not JSON: ${raised instanceof Error ? raised.message : raised}`;
  }
}
