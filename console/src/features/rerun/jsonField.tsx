import { Button, Field } from "@/design/primitives";
import { say } from "@/model/messages";
import { jsonFault } from "@/values/jsonFault";

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
    <Field label={label} hint={hint} error={value.trim() ? jsonFault(value) : undefined}>
      {({ id, describedBy }) => (
        <>
          <textarea
            id={id}
            aria-describedby={describedBy}
            className="mono"
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
