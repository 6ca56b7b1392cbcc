import { type KeyboardEvent, useMemo, useRef, useState } from "react";

import { useKeys } from "@/app/keys";
import { say } from "@/model/messages";
import { type Addition, addedTo, additionsOf, DRAGGED } from "./additions";
import { useLibrary } from "./completion";
import { KindIcon } from "./kinds";
import styles from "./palettePanel.module.css";
import { useSession } from "./session";

const GROUPS = ["control", "types", "library"] as const;
const USED = "flowmesh.builder.used";
const USED_MAX = 4;

/** All that can be added: found by words, added by click, Enter or drag. */
export function PalettePanel() {
  const session = useSession();
  const [words, setWords] = useState("");
  const [used, setUsed] = useState(lastUsed);
  const input = useRef<HTMLInputElement>(null);
  useKeys({ a: () => input.current?.focus() });
  const all = useAdditions();
  const found = useMemo(() => matching(all, words), [all, words]);
  const recent = words ? [] : used.flatMap((key) => all.filter((each) => each.key === key));
  const add = (addition: Addition) => {
    addedTo(session, addition);
    const next = [addition.key, ...used.filter((each) => each !== addition.key)];
    setUsed(next.slice(0, USED_MAX));
    localStorage.setItem(USED, JSON.stringify(next.slice(0, USED_MAX)));
  };
  const keys = (event: KeyboardEvent<HTMLInputElement>) => {
    const first = found[0];
    if (event.key === "Enter" && first) add(first);
  };
  return (
    <aside className={styles.panel} aria-label={say("builder.palette")}>
      <input
        ref={input}
        type="search"
        placeholder={say("builder.find")}
        aria-label={say("builder.find")}
        value={words}
        onChange={(event) => setWords(event.target.value)}
        onKeyDown={keys}
      />
      <div className={styles.lists}>
        {recent.length > 0 && <Group title={say("builder.used")} entries={recent} add={add} />}
        {GROUPS.map((group) => (
          <Group
            key={group}
            title={say(`builder.group.${group}`)}
            entries={found.filter((each) => each.group === group)}
            add={add}
          />
        ))}
        {found.length === 0 && <p className="muted">{say("builder.nothing", { words })}</p>}
      </div>
    </aside>
  );
}

export function useAdditions(): Addition[] {
  const { tasks, types } = useLibrary();
  return useMemo(() => additionsOf(tasks, types), [tasks, types]);
}

function lastUsed(): string[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(USED) ?? "[]");
    return Array.isArray(found) ? found.map(String) : [];
  } catch {
    return [];
  }
}

function matching(all: readonly Addition[], words: string): Addition[] {
  const parts = words.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (each: Addition) => {
    const text = `${each.label} ${each.about}`.toLowerCase();
    return parts.every((part) => text.includes(part));
  };
  const named = (each: Addition) => (each.label.toLowerCase().startsWith(parts[0] ?? "") ? 0 : 1);
  return all.filter(fits).sort((left, right) => (parts[0] ? named(left) - named(right) : 0));
}

interface GroupProps {
  title: string;
  entries: readonly Addition[];
  add: (addition: Addition) => void;
}

function Group({ title, entries, add }: GroupProps) {
  if (entries.length === 0) return null;
  return (
    <section aria-label={title}>
      <h2>{title}</h2>
      <ul>
        {entries.map((each) => (
          <li key={each.key}>
            <button
              type="button"
              draggable
              title={each.about}
              onClick={() => add(each)}
              onDragStart={(event) => event.dataTransfer.setData(DRAGGED, JSON.stringify(each))}
            >
              <KindIcon kind={each.kind} size={14} />
              <span className="truncate">{each.label}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
