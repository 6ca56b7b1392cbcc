import { useMemo, useState } from "react";
import { ActionDialog } from "@/design/actionDialog";
import { say } from "@/model/messages";
import { joined, merged } from "@/text/merge";
import { TextDiff } from "@/values/textDiff";
import styles from "./dialogs.module.css";

interface Props {
  mine: string;
  base: string;
  theirs: { text: string };
  title: string;
  button: string;
  close: () => void;
  take: (result: string) => void;
}

/** Both changes of one version: merged by line, with a choice where both changed the same. */
export function MergeDialog({ mine, base, theirs, title, button, close, take }: Props) {
  const parts = useMemo(() => merged(mine, base, theirs.text), [mine, base, theirs]);
  const conflicts = parts.flatMap((each) => ("conflict" in each ? [each.conflict] : []));
  const [choices, setChoices] = useState<("mine" | "theirs")[]>([]);
  const result = joined(parts, choices);
  return (
    <ActionDialog wide title={title} label={button} close={close} act={() => take(result)}>
      <p>{say("builder.conflictText", { count: conflicts.length })}</p>
      {conflicts.map((conflict, place) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a conflict is known by its place
        <fieldset key={place} className={styles.choice}>
          <legend>{say("builder.conflictAt", { place: place + 1 })}</legend>
          {(["mine", "theirs"] as const).map((side) => (
            <label key={side}>
              <input
                type="radio"
                name={`conflict-${place}`}
                checked={(choices[place] ?? "mine") === side}
                onChange={() =>
                  setChoices(
                    conflicts.map((_, at) => (at === place ? side : (choices[at] ?? "mine"))),
                  )
                }
              />
              {say(`builder.${side}`)}
              <pre>{conflict[side].join("\n")}</pre>
            </label>
          ))}
        </fieldset>
      ))}
      <TextDiff before={theirs.text} after={result} />
    </ActionDialog>
  );
}
