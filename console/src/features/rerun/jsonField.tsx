import { Button, Field } from "@/design/primitives";
import { say } from "@/model/messages";
import styles from "./page.module.css";

interface Props {
  label: string;
  hint: string;
  value: string;
  /** The value as it was; a button brings it back. */
  before?: string;
  change: (value: string) => void;
  remove?: () => void;
}

/** A JSON value as text; what is wrong with it stands below. */
export function JsonField({ label, hint, value, before, change, remove }: Props) {
  const edited = before !== undefined && value !== before;
  return (
    <Field label={label} hint={hint} error={faultOf(value)}>
      {({ id, describedBy }) => (
        <>
          <textarea
            id={id}
            aria-describedby={describedBy}
            className={styles.code}
            rows={Math.min(14, Math.max(3, value.split("\n").length))}
            spellCheck={false}
            value={value}
            onChange={(event) => change(event.target.value)}
          />
          {edited && (
            <Button small onClick={() => change(before)}>
              {say("rerun.asBefore")}
            </Button>
          )}
          {remove && (
            <Button small onClick={remove}>
              {say("rerun.asBefore")}
            </Button>
          )}
        </>
      )}
    </Field>
  );
}

function faultOf(text: string): string | undefined {
  if (!text.trim()) return undefined;
  try {
    JSON.parse(text);
    return undefined;
  } catch (raised) {
    return say("rerun.notJson", { fault: raised instanceof Error ? raised.message : "" });
  }
}
