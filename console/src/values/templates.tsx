/** Fields that take a value or a template; completion offers the names in scope. */

import { Braces, ListTree, Pencil } from "lucide-react";
import { createContext, useContext, useId, useState } from "react";
import { Menu, MenuItem } from "@/design/menu";
import { Field, IconButton } from "@/design/primitives";
import { pathWords } from "@/model/conditions";
import { say } from "@/model/messages";
import { kindOf } from "@/model/schema";
import { type FieldProps, hintOf, labelOf, ValueField } from "./schemaForm";
import styles from "./schemaForm.module.css";

export interface TemplateName {
  path: string;
  type: string;
}

/** The names in scope; without it, fields take values only. */
export const TemplateScope = createContext<readonly TemplateName[] | undefined>(undefined);

function isTemplate(value: unknown): value is string {
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

interface PickProps {
  names: readonly TemplateName[];
  value: string;
  change: (value: string) => void;
  describedBy: string;
}

/** The names as a menu; the chosen one is written behind what the field has. */
export function PickValue({ names, value, change, describedBy }: PickProps) {
  const bare = value === "" || /^\{\{[^{}]*\}\}$/.test(value);
  return (
    <Menu
      label={say("form.pick")}
      trigger={
        <IconButton label={say("form.pick")} aria-describedby={describedBy}>
          <ListTree size={13} />
        </IconButton>
      }
    >
      {names.map(({ path, type }) => (
        <MenuItem key={path} onSelect={() => change(`${bare ? "" : value}{{${path}}}`)}>
          {pathWords(path)} <span className="muted">{type}</span>
        </MenuItem>
      ))}
    </Menu>
  );
}

/** A template in the place of a value of another type; it stays one until it is left. */
function TemplateField({ leave, ...props }: FieldProps & { leave: () => void }) {
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
          <PickValue
            names={names}
            value={String(value ?? "")}
            change={change}
            describedBy={describedBy}
          />
          <IconButton label={say("form.value")} onClick={leave}>
            <Pencil size={13} />
          </IconButton>
        </span>
      )}
    </Field>
  );
}

/** A field with a way to write a template instead. What is half typed changes no field. */
export function Switchable(props: FieldProps) {
  const { value, change, schema } = props;
  const names = useContext(TemplateScope);
  const [chosen, setChosen] = useState(isTemplate(value));
  const writable = value === undefined || typeof value === "string";
  // A box for JSON shows a template as well, and may have the cursor.
  const foreign = isTemplate(value) && kindOf(schema) !== "json";
  const become = (template: boolean, next: string | undefined) => {
    setChosen(template);
    change(next);
  };
  if (foreign || (chosen && writable)) {
    return <TemplateField {...props} leave={() => become(false, undefined)} />;
  }
  return (
    <div className={styles.switchable}>
      <ValueField {...props} />
      <IconButton
        label={say("form.template", { name: labelOf(props) })}
        onClick={() => become(true, `{{${names?.[0]?.path ?? "input"}}}`)}
      >
        <Braces size={13} />
      </IconButton>
    </div>
  );
}
