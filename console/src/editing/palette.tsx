import { type KeyboardEvent, type ReactNode, useMemo, useRef, useState } from "react";
import { useKeys } from "@/app/keys";
import { say } from "@/model/messages";
import styles from "./palette.module.css";

const USED_MAX = 4;

/** What can be added to a canvas. */
export interface Entry {
  key: string;
  label: string;
  about: string;
  group: string;
  /** Whether it is added by click or Enter alone. */
  fixed?: boolean | undefined;
}

interface Props<E extends Entry> {
  all: readonly E[];
  /** Titles by group, in their order. */
  groups: readonly (readonly [group: string, title: string])[];
  add: (entry: E) => void;
  icon: (entry: E) => ReactNode;
  /** The type of dragged data. */
  dragged: string;
  /** The words in the empty field of the search. */
  hint: string;
  /** The name under which the browser keeps the last used. */
  kept: string;
}

/** All that can be added: found by words, added by click, Enter or drag. */
export function Palette<E extends Entry>(props: Props<E>) {
  const { all, groups, kept } = props;
  const [words, setWords] = useState("");
  const [used, setUsed] = useState(() => lastUsed(kept));
  const input = useRef<HTMLInputElement>(null);
  useKeys("builder", { a: () => input.current?.focus() });
  const found = useMemo(() => matching(all, words), [all, words]);
  const recent = words ? [] : used.flatMap((key) => all.filter((each) => each.key === key));
  const add = (entry: E) => {
    props.add(entry);
    const next = [entry.key, ...used.filter((each) => each !== entry.key)].slice(0, USED_MAX);
    setUsed(next);
    localStorage.setItem(kept, JSON.stringify(next));
  };
  const keys = (event: KeyboardEvent<HTMLInputElement>) => {
    const first = found[0];
    if (event.key === "Enter" && first) add(first);
  };
  const shared = { add, icon: props.icon, dragged: props.dragged };
  return (
    <aside className={styles.panel} aria-label={say("builder.palette")}>
      <input
        ref={input}
        type="search"
        placeholder={props.hint}
        aria-label={props.hint}
        value={words}
        onChange={(event) => setWords(event.target.value)}
        onKeyDown={keys}
      />
      <div className={styles.lists}>
        {recent.length > 0 && <Group {...shared} title={say("builder.used")} entries={recent} />}
        {groups.map(([group, title]) => (
          <Group
            key={group}
            {...shared}
            title={title}
            entries={found.filter((each) => each.group === group)}
          />
        ))}
        {found.length === 0 && <p className="muted">{say("builder.nothing", { words })}</p>}
      </div>
    </aside>
  );
}

function lastUsed(kept: string): string[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(kept) ?? "[]");
    return Array.isArray(found) ? found.map(String) : [];
  } catch {
    return [];
  }
}

/** Those that have all words, with those first whose name begins with the first word. */
export function matching<E extends Entry>(all: readonly E[], words: string): E[] {
  const parts = words.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (each: E) => {
    const text = `${each.label} ${each.about}`.toLowerCase();
    return parts.every((part) => text.includes(part));
  };
  const named = (each: E) => (each.label.toLowerCase().startsWith(parts[0] ?? "") ? 0 : 1);
  return all.filter(fits).sort((left, right) => (parts[0] ? named(left) - named(right) : 0));
}

interface GroupProps<E extends Entry> extends Pick<Props<E>, "add" | "icon" | "dragged"> {
  title: string;
  entries: readonly E[];
}

function Group<E extends Entry>({ title, entries, add, icon, dragged }: GroupProps<E>) {
  if (entries.length === 0) return null;
  return (
    <section aria-label={title}>
      <h2>{title}</h2>
      <ul>
        {entries.map((each) => (
          <li key={each.key}>
            <button
              type="button"
              draggable={!each.fixed}
              title={each.about}
              onClick={() => add(each)}
              onDragStart={(event) => event.dataTransfer.setData(dragged, JSON.stringify(each))}
            >
              {icon(each)}
              <span className="truncate">{each.label}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
