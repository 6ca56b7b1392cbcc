/** Ordered lists: entries are moved by Alt and an arrow, by buttons, taken out, and added. */

import { ArrowDown, ArrowUp, X } from "lucide-react";
import type { KeyboardEvent } from "react";
import { actOn } from "@/app/keys";
import { IconButton } from "@/design/primitives";
import { say } from "@/model/messages";
import styles from "./page.module.css";

/** Alt and an arrow move an entry of an ordered list. */
export function shiftBy(event: KeyboardEvent, shift: (by: number) => void): void {
  actOn("builder", event, { "alt+ArrowUp": () => shift(-1), "alt+ArrowDown": () => shift(1) });
}

/** Keep the focus on a moved entry, once the list is drawn anew. */
export function followed(list: Element | null, index: number): void {
  requestAnimationFrame(() => {
    list?.querySelectorAll<HTMLElement>("[data-entry]")[index]?.focus();
  });
}

interface MoversProps {
  name: string;
  up: (() => void) | undefined;
  down: (() => void) | undefined;
  remove: () => void;
}

export function Movers({ name, up, down, remove }: MoversProps) {
  return (
    <span className={styles.movers}>
      <IconButton label={say("apps.up", { name })} disabled={!up} onClick={up}>
        <ArrowUp size={13} />
      </IconButton>
      <IconButton label={say("apps.down", { name })} disabled={!down} onClick={down}>
        <ArrowDown size={13} />
      </IconButton>
      <IconButton label={say("apps.takeOut", { name })} onClick={remove}>
        <X size={13} />
      </IconButton>
    </span>
  );
}

interface AdderProps {
  label: string;
  choices: readonly string[];
  add: (choice: string) => void;
}

export function Adder({ label, choices, add }: AdderProps) {
  return (
    <select
      className={styles.adder}
      aria-label={label}
      value=""
      onChange={(event) => add(event.target.value)}
    >
      <option value="" disabled>
        {label}
      </option>
      {choices.map((each) => (
        <option key={each}>{each}</option>
      ))}
    </select>
  );
}
