/** Fields that take a value or a template; completion offers the names in scope. */

import { Braces, Pencil } from "lucide-react";
import { createContext, type ReactNode, useContext, useId } from "react";
import { Field, IconButton } from "@/design/primitives";
import { say } from "@/model/messages";
import { type FieldProps, hintOf, labelOf } from "./schemaForm";
import styles from "./schemaForm.module.css";

export interface TemplateName {
  path: string;
  type: string;
}

/** The names in scope; without it, fields take values only. */
export const TemplateScope = createContext<readonly TemplateName[] | undefined>(undefined);

export function isTemplate(value: unknown): value is string {
  return typeof value === "string" && value.includes("{{");
}

/** The names as choices of a text field: `list` is the attribute of the field. */
export function TemplateNames({ id, names }: { id: string; names: readonly TemplateName[] }) {
  return (
    <datalist id={id}>
      {names.map(({ path, type }) => (
        <option key={path} value={`{{${path}}}`} label={type ? `${path}: ${type}` : path} />
      ))}
    </datalist>
  );
}

/** A template in the place of a value of another type. */
export function TemplateField(props: FieldProps) {
  const { value, change, schema, problems, path } = props;
  const names = useContext(TemplateScope) ?? [];
  const list = useId();
  return (
    <Field label={labelOf(props)} hint={hintOf(schema)} error={problems.get(path)}>
      {({ id, describedBy }) => (
        <span className={styles.switched}>
          <input
            id={id}
            list={list}
            aria-describedby={describedBy}
            className={styles.code}
            value={String(value ?? "")}
            onChange={(event) => change(event.target.value || undefined)}
          />
          <TemplateNames id={list} names={names} />
          <IconButton label={say("form.value")} onClick={() => change(undefined)}>
            <Pencil size={13} />
          </IconButton>
        </span>
      )}
    </Field>
  );
}

/** A field with a way to write a template instead. */
export function Switchable({ props, children }: { props: FieldProps; children: ReactNode }) {
  const names = useContext(TemplateScope);
  if (!names) return children;
  return (
    <div className={styles.switchable}>
      {children}
      <IconButton
        label={say("form.template", { name: labelOf(props) })}
        onClick={() => props.change(`{{${names[0]?.path ?? "input"}}}`)}
      >
        <Braces size={13} />
      </IconButton>
    </div>
  );
}
