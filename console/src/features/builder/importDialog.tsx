import { type DragEvent, useState } from "react";
import { validate } from "@/api/definitions";
import type { ProblemValue } from "@/api/schema";
import { Button, Dialog, DialogActions, Field } from "@/design/primitives";
import { Problem } from "@/design/problem";
import styles from "@/editing/dialogs.module.css";
import { EDITED_CHARACTERS_MAX } from "@/editing/draftSession";
import { say } from "@/model/messages";

interface Props {
  close: () => void;
  take: (text: string) => void;
}

/** A text of any format: pasted, dropped or chosen as a file; it is checked before it is taken. */
export function ImportDialog({ close, take }: Props) {
  const [text, setText] = useState("");
  const [problems, setProblems] = useState<readonly ProblemValue[]>();
  const [error, setError] = useState<unknown>();
  const errors = problems?.filter((each) => each.severity === "error") ?? [];
  const check = async () => {
    setError(undefined);
    // The builder shows a large text at once and checks it there.
    if (text.length > EDITED_CHARACTERS_MAX) {
      take(text);
      return;
    }
    try {
      const found = await validate(text);
      setProblems(found.problems);
      if (!found.problems.some((each) => each.severity === "error")) take(text);
    } catch (raised) {
      setError(raised);
    }
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    void event.dataTransfer.files[0]?.text().then(setText);
  };
  return (
    <Dialog wide open title={say("builder.import")} onClose={close}>
      <Field label={say("builder.importFile")}>
        {({ id }) => (
          <input
            id={id}
            type="file"
            accept=".yaml,.yml,.json"
            onChange={(event) => void event.target.files?.[0]?.text().then(setText)}
          />
        )}
      </Field>
      <Field label={say("builder.importText")} hint={say("builder.importHint")}>
        {({ id, describedBy }) => (
          <textarea
            id={id}
            aria-describedby={describedBy}
            className={styles.source}
            spellCheck={false}
            value={text}
            onChange={(event) => setText(event.target.value)}
            onDragOver={(event) => event.preventDefault()}
            onDrop={drop}
          />
        )}
      </Field>
      {errors.length > 0 && (
        <ul role="alert" className={styles.stopped}>
          {errors.map((each) => (
            <li key={`${each.path} ${each.message}`}>
              {each.line ? `${each.line}: ` : ""}
              {each.message}
            </li>
          ))}
        </ul>
      )}
      {error !== undefined && <Problem error={error} title={say("builder.notImported")} />}
      <DialogActions>
        <Button onClick={close}>{say("action.back")}</Button>
        {errors.length > 0 && (
          <Button onClick={() => take(text)}>{say("builder.importAnyway")}</Button>
        )}
        <Button kind="primary" disabled={!text.trim()} onClick={() => void check()}>
          {say("builder.importNow")}
        </Button>
      </DialogActions>
    </Dialog>
  );
}
