/** A form for a JSON Schema. The value is complete JSON at any time; empty fields are left out. */

import { type ReactNode, useContext, useId, useMemo, useState } from "react";
import { SelectField } from "@/design/fields";
import { Field } from "@/design/primitives";
import { say } from "@/model/messages";
import {
  choicesOf,
  escaped,
  examplesOf,
  type Json,
  type JsonSchema,
  kindOf,
  membersOf,
  problemsOf,
  resolved,
  titleOf,
} from "@/model/schema";
import { choiceWord } from "./choiceWords";
import { ConditionField } from "./conditionField";
import styles from "./schemaForm.module.css";
import { ListField, MapField, ObjectField, OneOfField } from "./schemaGroups";
import { JsonField } from "./schemaJson";
import { PickValue, Switchable, TemplateNames, TemplateScope } from "./templates";

interface FormProps {
  schema: JsonSchema;
  value: Json | undefined;
  change: (value: Json | undefined) => void;
  /** Whether problems are shown, such as after the first attempt to send. */
  checked: boolean;
  /** Problems by JSON pointer that another checker found; instead of those of the schema. */
  found?: ReadonlyMap<string, string> | undefined;
  /** Whether what is not required stands folded behind what is. */
  folded?: boolean;
}

export function SchemaForm({ schema, value, change, checked, found, folded }: FormProps) {
  const problems = useMemo(
    () => found ?? (checked ? problemsOf(schema, value) : new Map<string, string>()),
    [schema, value, checked, found],
  );
  const top = resolved(schema, schema);
  const shared = { root: schema, problems, path: "" };
  if (kindOf(top) !== "object") {
    return (
      <SchemaField {...shared} name="value" schema={top} value={value} change={change} required />
    );
  }
  const field = (member: Member) => (
    <MemberField key={member.name} {...shared} of={value} change={change} {...member} />
  );
  const members = membersOf(top, schema);
  const required = members.filter((member) => member.required);
  const split = folded && required.length > 0 && required.length < members.length;
  return (
    <>
      {(split ? required : members).map(field)}
      {split && (
        <Folded
          members={members.filter((each) => !each.required)}
          value={value}
          problems={problems}
        >
          {field}
        </Folded>
      )}
      {problems.has("") && <p role="alert">{problems.get("")}</p>}
    </>
  );
}

type Member = ReturnType<typeof membersOf>[number];

interface FoldedProps {
  members: readonly Member[];
  value: Json | undefined;
  problems: ReadonlyMap<string, string>;
  children: (member: Member) => ReactNode;
}

/** Fields that may be left out: closed, unless one has another value than at first, or a problem. */
function Folded({ members, value, problems, children }: FoldedProps) {
  const [open, setOpen] = useState(() => members.some((member) => isChanged(member, value)));
  const wrong = members.some(({ name }) =>
    [...problems.keys()].some((path) => `${path}/`.startsWith(`/${escaped(name)}/`)),
  );
  return (
    <details
      className={styles.folded}
      open={open || wrong}
      onToggle={(event) => setOpen(event.currentTarget.open)}
    >
      <summary>{say("form.optional", { count: members.length })}</summary>
      {members.map(children)}
    </details>
  );
}

function isChanged({ name, schema }: Member, owner: Json | undefined): boolean {
  const value = (owner as Record<string, Json> | null | undefined)?.[name];
  return value !== undefined && JSON.stringify(value) !== JSON.stringify(schema.default);
}

export interface FieldProps {
  name: string;
  schema: JsonSchema;
  root: JsonSchema;
  /** The JSON pointer of the value. */
  path: string;
  problems: ReadonlyMap<string, string>;
  value: Json | undefined;
  change: (value: Json | undefined) => void;
  required: boolean;
}

/** A member of an object: an empty value removes it. */
export function MemberField({
  of,
  ...props
}: Omit<FieldProps, "value"> & { of: Json | undefined }) {
  const owner = of && typeof of === "object" && !Array.isArray(of) ? of : {};
  const change = (value: Json | undefined) => {
    const { [props.name]: _, ...others } = owner;
    props.change(value === undefined ? others : { ...owner, [props.name]: value });
  };
  const path = `${props.path}/${props.name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
  return <SchemaField {...props} path={path} value={owner[props.name]} change={change} />;
}

/** One value, by the kind of its schema, or a template where those are in scope. */
export function SchemaField(props: FieldProps) {
  const templates = useContext(TemplateScope);
  const kind = kindOf(props.schema);
  if (!templates || kind === "text" || kind === "long" || kind === "number") {
    return <ValueField {...props} />;
  }
  return <Switchable {...props} />;
}

/** Members of definitions that are CEL. */
const CONDITIONS = new Set(["condition", "expression", "while", "until"]);

export function ValueField(props: FieldProps) {
  const templates = useContext(TemplateScope);
  if (templates && CONDITIONS.has(props.name) && props.schema.type === "string") {
    return <ConditionField {...props} />;
  }
  switch (kindOf(props.schema)) {
    case "object":
      return <ObjectField {...props} />;
    case "map":
      return <MapField {...props} />;
    case "list":
      return <ListField {...props} />;
    case "oneOf":
      return <OneOfField {...props} />;
    case "flag":
      return <FlagField {...props} />;
    case "choice":
      return <ChoiceField {...props} />;
    case "json":
      return <JsonField {...props} />;
    default:
      return <ScalarField {...props} />;
  }
}

export function labelOf({ name, schema, required }: FieldProps): string {
  return titleOf(name, schema) + (required ? "" : " (optional)");
}

export function hintOf(schema: JsonSchema): string | undefined {
  return typeof schema.description === "string" ? schema.description : undefined;
}

function FlagField(props: FieldProps) {
  const { schema, path, problems, value, change } = props;
  return (
    <Field label={titleOf(props.name, schema)} hint={hintOf(schema)} error={problems.get(path)}>
      {({ id, describedBy }) => (
        <input
          id={id}
          aria-describedby={describedBy}
          type="checkbox"
          checked={value === true}
          onChange={(event) => change(event.target.checked)}
        />
      )}
    </Field>
  );
}

function ChoiceField(props: FieldProps) {
  const templates = useContext(TemplateScope);
  const { schema, path, problems, value, change } = props;
  const choices = choicesOf(schema);
  const chosen = choices.findIndex((each) => JSON.stringify(each) === JSON.stringify(value));
  return (
    <SelectField
      label={labelOf(props)}
      hint={hintOf(schema)}
      error={problems.get(path)}
      value={chosen}
      change={(chosen) => change(choices[Number(chosen)])}
    >
      <option value={-1}>Choose…</option>
      {choices.map((each, place) => (
        <option key={JSON.stringify(each)} value={place}>
          {choiceWord(templates ? props.name : "", each)}
        </option>
      ))}
    </SelectField>
  );
}

const INPUT_TYPES: Record<string, string> = {
  date: "date",
  email: "email",
  uri: "url",
};

function ScalarField(props: FieldProps) {
  const { schema, path, problems, value, change, required } = props;
  const kind = kindOf(schema);
  const names = useContext(TemplateScope);
  const list = useId();
  const set = (text: string) => {
    if (text === "") change(undefined);
    else change(kind === "number" && !Number.isNaN(Number(text)) ? Number(text) : text);
  };
  return (
    <Field label={labelOf(props)} hint={hintOf(schema)} error={problems.get(path)}>
      {({ id, describedBy }) => {
        const shared = {
          id,
          "aria-describedby": describedBy,
          "aria-required": required,
          placeholder: examplesOf(schema),
          value: value === undefined || value === null ? "" : String(value),
          onChange: (event: { target: { value: string } }) => set(event.target.value),
        };
        if (kind === "long") return <textarea {...shared} rows={4} />;
        if (names) {
          return (
            <span className={styles.switched}>
              <input {...shared} type="text" list={list} />
              <TemplateNames id={list} names={names} />
              <PickValue
                names={names}
                value={shared.value}
                change={set}
                describedBy={describedBy}
              />
            </span>
          );
        }
        const whole = schema.type === "integer" ? 1 : "any";
        return kind === "number" ? (
          <input {...shared} type="number" step={whole} />
        ) : (
          <input {...shared} type={INPUT_TYPES[String(schema.format)] ?? "text"} />
        );
      }}
    </Field>
  );
}
