import { type KeyboardEvent, useMemo, useState } from "react";
import { matching } from "@/editing/palette";
import styles from "@/editing/stage.module.css";
import { say } from "@/model/messages";
import type { Position } from "@/text/workflow";
import type { Addition } from "./additions";
import { KindIcon } from "./kinds";
import { useAdditions } from "./useAdditions";

const SHOWN_MAX = 8;

interface Props {
  /** The place in the canvas, in pixels of its frame. */
  at: Position;
  add: (addition: Addition) => void;
  close: () => void;
}

/** The search under the pointer: words, arrow keys and Enter, or a click. */
export function QuickAdd({ at, add, close }: Props) {
  const [words, setWords] = useState("");
  const [chosen, setChosen] = useState(0);
  const all = useAdditions();
  const found = useMemo(() => matching(all, words).slice(0, SHOWN_MAX), [all, words]);
  const keys = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    event.stopPropagation();
    if (event.key === "Escape") close();
    else if (step && found.length > 0) setChosen((chosen + step + found.length) % found.length);
    else if (event.key === "Enter" && found[chosen]) add(found[chosen]);
    else return;
    event.preventDefault();
  };
  return (
    <div
      role="dialog"
      className={styles.quick}
      aria-label={say("builder.quick")}
      style={{ left: at.x, top: at.y }}
      onPointerDown={(event) => event.stopPropagation()}
      onDoubleClick={(event) => event.stopPropagation()}
      onBlur={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget)) close();
      }}
    >
      <input
        // biome-ignore lint/a11y/noAutofocus: it is opened to be typed into
        autoFocus
        type="search"
        role="combobox"
        aria-expanded
        aria-controls="quick-add"
        aria-activedescendant={found[chosen] && `quick-add-${chosen}`}
        aria-label={say("builder.quick")}
        placeholder={say("builder.find")}
        value={words}
        onChange={(event) => {
          setWords(event.target.value);
          setChosen(0);
        }}
        onKeyDown={keys}
      />
      <div id="quick-add" role="listbox" aria-label={say("builder.palette")}>
        {found.map((each, place) => (
          <div
            key={each.key}
            id={`quick-add-${place}`}
            role="option"
            aria-selected={place === chosen}
            tabIndex={-1}
            title={each.about}
            onPointerDown={(event) => event.preventDefault()}
            onClick={() => add(each)}
            onKeyDown={keys}
          >
            <KindIcon kind={each.kind} size={14} />
            <span className="truncate">{each.label}</span>
          </div>
        ))}
      </div>
      {found.length === 0 && <p className="muted">{say("builder.nothing", { words })}</p>}
    </div>
  );
}
