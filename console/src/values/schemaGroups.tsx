/** Fields that hold further fields: objects, maps, lists, variants. */

import { ArrowDown, ArrowUp, Copy, Plus, Trash2 } from "lucide-react";
import { useId, useState } from "react";
import { Button, IconButton } from "@/design/primitives";
import {
  escaped,
  fittingVariant,
  initialOf,
  type Json,
  type JsonSchema,
  kindOf,
  membersOf,
  resolved,
  statedVariant,
  titleOf,
  variantsOf,
} from "@/model/schema";
import { type FieldProps, hintOf, MemberField, SchemaField } from "./schemaForm";
import styles from "./schemaForm.module.css";

export function ObjectField(props: FieldProps) {
  const { schema, root, path, problems, value, change } = props;
  return (
    <Group {...props}>
      {membersOf(schema, root)
        .filter(isOpen)
        .map((member) => (
          <MemberField
            key={member.name}
            root={root}
            path={path}
            problems={problems}
            of={value}
            change={change}
            {...member}
          />
        ))}
    </Group>
  );
}

/** Whether there is something to choose; a constant is written with its object. */
function isOpen({ schema }: { schema: JsonSchema }): boolean {
  return !("const" in schema);
}

function Group(props: FieldProps & { children: React.ReactNode }) {
  const problem = props.problems.get(props.path);
  const hint = hintOf(props.schema);
  return (
    <fieldset className={styles.group}>
      <legend>{titleOf(props.name, props.schema)}</legend>
      {hint && <p className="muted">{hint}</p>}
      {props.children}
      {problem && (
        <p role="alert" className={styles.problem}>
          {problem}
        </p>
      )}
    </fieldset>
  );
}

export function ListField(props: FieldProps) {
  const { schema, root, path, problems, value, change, name } = props;
  const items = Array.isArray(value) ? value : [];
  const item = resolved(schema.items, root);
  const set = (place: number, next: Json | undefined) =>
    change(items.map((each, at) => (at === place ? (next ?? emptyOf(item)) : each)));
  const move = (place: number, to: number) => {
    const moved = [...items];
    moved.splice(to, 0, ...moved.splice(place, 1));
    change(moved);
  };
  const twice = (place: number) =>
    change(items.flatMap((each, at) => (at === place ? [each, each] : [each])));
  return (
    <Group {...props}>
      {items.map((each, place) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: an item is known by its place
        <div key={place} className={styles.item}>
          <SchemaField
            name={`${titleOf(name, {})} ${place + 1}`}
            schema={item}
            root={root}
            path={`${path}/${place}`}
            problems={problems}
            value={each}
            change={(next) => set(place, next)}
            required
          />
          <span className={styles.tools}>
            {place > 0 && (
              <IconButton
                label={`Move item ${place + 1} up`}
                onClick={() => move(place, place - 1)}
              >
                <ArrowUp size={14} />
              </IconButton>
            )}
            {place < items.length - 1 && (
              <IconButton
                label={`Move item ${place + 1} down`}
                onClick={() => move(place, place + 1)}
              >
                <ArrowDown size={14} />
              </IconButton>
            )}
            <IconButton label={`Duplicate item ${place + 1}`} onClick={() => twice(place)}>
              <Copy size={14} />
            </IconButton>
            <IconButton
              label={`Remove item ${place + 1}`}
              onClick={() => change(items.filter((_, at) => at !== place))}
            >
              <Trash2 size={14} />
            </IconButton>
          </span>
        </div>
      ))}
      <Button
        small
        icon={<Plus size={13} aria-hidden />}
        onClick={() => change([...items, initialOf(item, root) ?? emptyOf(item)])}
      >
        Add an item
      </Button>
    </Group>
  );
}

/** A value of the kind of a schema that holds nothing yet. */
function emptyOf(schema: Parameters<typeof kindOf>[0]): Json {
  const kind = kindOf(schema);
  const [first] = kind === "oneOf" ? variantsOf(schema) : [];
  if (first) return initialOf(first, first) ?? emptyOf(first);
  if (kind === "text" || kind === "long") return "";
  return kind === "object" || kind === "map" ? {} : null;
}

export function MapField(props: FieldProps) {
  const { schema, root, path, problems, value, change } = props;
  const [key, setKey] = useState("");
  const entries = Object.entries((value ?? {}) as Record<string, Json>);
  const item = resolved(schema.additionalProperties, root);
  const add = () => {
    change({ ...Object.fromEntries(entries), [key]: initialOf(item, root) ?? emptyOf(item) });
    setKey("");
  };
  const taken = entries.some(([name]) => name === key);
  const list = useId();
  // Keys that the schema names are offered.
  const names = ((schema.propertyNames as { enum?: string[] } | undefined)?.enum ?? []).filter(
    (each) => !entries.some(([name]) => name === each),
  );
  return (
    <Group {...props}>
      {entries.map(([name, each]) => (
        <div key={name} className={styles.item}>
          <KeyField
            name={name}
            taken={(next) => entries.some(([at]) => at === next)}
            rename={(next) =>
              change(Object.fromEntries(entries.map(([at, of]) => [at === name ? next : at, of])))
            }
          />
          <SchemaField
            name={name}
            schema={{ ...item, title: name }}
            root={root}
            path={`${path}/${escaped(name)}`}
            problems={problems}
            value={each}
            change={(next) =>
              change({ ...Object.fromEntries(entries), [name]: next ?? emptyOf(item) })
            }
            required
          />
          <span className={styles.tools}>
            <IconButton
              label={`Remove ${name}`}
              onClick={() => change(Object.fromEntries(entries.filter(([at]) => at !== name)))}
            >
              <Trash2 size={14} />
            </IconButton>
          </span>
        </div>
      ))}
      <span className={styles.adding}>
        <input
          aria-label={`New key of ${titleOf(props.name, schema)}`}
          placeholder="New key"
          list={names.length > 0 ? list : undefined}
          value={key}
          onChange={(event) => setKey(event.target.value)}
        />
        {names.length > 0 && (
          <datalist id={list}>
            {names.map((each) => (
              <option key={each} value={each} />
            ))}
          </datalist>
        )}
        <Button small disabled={!key || taken} onClick={add}>
          Add {taken ? "(it exists)" : ""}
        </Button>
      </span>
    </Group>
  );
}

interface KeyProps {
  name: string;
  taken: (name: string) => boolean;
  rename: (name: string) => void;
}

/** A key that is changed in place; one that another entry has is not taken. */
function KeyField({ name, taken, rename }: KeyProps) {
  const [key, setKey] = useState(name);
  const done = () => {
    if (key === name) return;
    if (key && !taken(key)) rename(key);
    else setKey(name);
  };
  return (
    <input
      className={styles.key}
      aria-label={`Key ${name}`}
      value={key}
      onChange={(event) => setKey(event.target.value)}
      onBlur={done}
      onKeyDown={(event) => event.key === "Enter" && done()}
    />
  );
}

export function OneOfField(props: FieldProps) {
  const { schema, root, change } = props;
  const variants = variantsOf(schema).map((each) => resolved(each, root));
  const [picked, setChosen] = useState(() => fittingVariant(variants, props.value));
  const chosen = statedVariant(variants, props.value) ?? picked;
  const variant = variants[chosen];
  const choose = (place: number) => {
    const next = variants[place];
    setChosen(place);
    change(next && (initialOf(next, root) ?? undefined));
  };
  return (
    <Group {...props}>
      <select
        className={styles.variant}
        aria-label={`Form of ${titleOf(props.name, schema)}`}
        value={chosen}
        onChange={(event) => choose(Number(event.target.value))}
      >
        {variants.map((each, place) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a variant is known by its place
          <option key={place} value={place}>
            {typeof each.title === "string" ? each.title : `Form ${place + 1}`}
          </option>
        ))}
      </select>
      {variant && <SchemaField key={chosen} {...props} schema={variant} />}
    </Group>
  );
}
