import { useContext } from "react";
import { SelectField } from "@/design/fields";
import { Field, TextField } from "@/design/primitives";
import {
  celOf,
  OPERATORS,
  type Operator,
  pathWords,
  type Words,
  wordsOf,
} from "@/model/conditions";
import { say } from "@/model/messages";
import { type FieldProps, hintOf, labelOf } from "./schemaForm";
import styles from "./schemaForm.module.css";
import { TemplateScope } from "./templates";

/** Conditions that stand for none. */
const UNSET = new Set(["", "true", "false"]);

/** A condition in words, which are written as CEL, and as the CEL itself. */
export function ConditionField(props: FieldProps) {
  const { value, change, schema, problems, path } = props;
  const text = typeof value === "string" ? value : "";
  const words = wordsOf(text);
  return (
    <>
      {(words || UNSET.has(text)) && <InWords words={words} change={change} />}
      <Field label={labelOf(props)} hint={hintOf(schema)} error={problems.get(path)}>
        {({ id, describedBy }) => (
          <textarea
            id={id}
            aria-describedby={describedBy}
            className={styles.code}
            rows={2}
            value={text}
            onChange={(event) => change(event.target.value || undefined)}
          />
        )}
      </Field>
    </>
  );
}

interface WordsProps {
  words: Words | undefined;
  change: (cel: string) => void;
}

function InWords({ words, change }: WordsProps) {
  const names = useContext(TemplateScope) ?? [];
  const { path = "", operator = "==", value = "" } = words ?? {};
  const put = (next: Partial<Words>) => {
    const all = { path, operator, value, ...next };
    change(celOf(all, names.find((each) => each.path === all.path)?.type));
  };
  const known = names.some((each) => each.path === path);
  return (
    <div role="group" aria-label={say("condition.words")} className={styles.words}>
      <SelectField
        label={say("condition.path")}
        value={path}
        change={(next) => put({ path: next })}
      >
        <option value="" disabled>
          {say("condition.choose")}
        </option>
        {path && !known && <option value={path}>{pathWords(path)}</option>}
        {names.map((each) => (
          <option key={each.path} value={each.path}>
            {pathWords(each.path)}
          </option>
        ))}
      </SelectField>
      <SelectField
        label={say("condition.operator")}
        value={operator}
        disabled={!path}
        change={(next) => put({ operator: next as Operator })}
      >
        {OPERATORS.map((each) => (
          <option key={each} value={each}>
            {say(`condition.${each}`)}
          </option>
        ))}
      </SelectField>
      {operator !== "has" && (
        <TextField
          label={say("condition.value")}
          value={value}
          disabled={!path}
          change={(next) => put({ value: next })}
        />
      )}
    </div>
  );
}
