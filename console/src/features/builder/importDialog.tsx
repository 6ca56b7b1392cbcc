import { type DragEvent, useState } from "react";
import { validate } from "@/api/definitions";
import type { ProblemValue } from "@/api/schema";
import { ActionDialog } from "@/design/actionDialog";
import { AreaField } from "@/design/fields";
import { Button, Field } from "@/design/primitives";
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
  const errors = problems?.filter((each) => each.severity === "error") ?? [];
  const check = async () => {
    // The builder shows a large text at once and checks it there.
    if (text.length > EDITED_CHARACTERS_MAX) {
      take(text);
      return;
    }
    const found = await validate(text);
    setProblems(found.problems);
    if (!found.problems.some((each) => each.severity === "error")) take(text);
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    void event.dataTransfer.files[0]?.text().then(setText);
  };
  return (
    <ActionDialog
      wide
      title={say("builder.import")}
      label={say("builder.importNow")}
      disabled={!text.trim()}
      failed={say("builder.notImported")}
      beside={
        errors.length > 0 && (
          <Button onClick={() => take(text)}>{say("builder.importAnyway")}</Button>
        )
      }
      close={close}
      act={check}
    >
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
      <AreaField
        label={say("builder.importText")}
        hint={say("builder.importHint")}
        className={styles.source}
        spellCheck={false}
        value={text}
        onDragOver={(event) => event.preventDefault()}
        onDrop={drop}
        change={setText}
      />
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
    </ActionDialog>
  );
}
