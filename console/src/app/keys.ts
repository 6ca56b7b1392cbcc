/** Keys of the page: single keys, sequences such as `g e`, and combinations such as `mod+k`. */

import { useEffect, useRef } from "react";
import { preferences } from "./preferences";

export type KeyMap = Readonly<Record<string, (event: KeyboardEvent) => void>>;

const SEQUENCE_MS = 1_200;
let first = "";
let firstAt = 0;

/** Handle keys while the component is shown, except in fields and in open dialogs. */
export function useKeys(keys: KeyMap): void {
  const newest = useRef(keys);
  useEffect(() => {
    newest.current = keys;
  });
  useEffect(() => {
    const handle = (event: KeyboardEvent) => {
      const run = chosen(newest.current, event);
      if (!run) return;
      event.preventDefault();
      run(event);
    };
    addEventListener("keydown", handle);
    return () => removeEventListener("keydown", handle);
  }, []);
}

function chosen(keys: KeyMap, event: KeyboardEvent): KeyMap[string] | undefined {
  if (event.defaultPrevented) return undefined;
  if (event.ctrlKey || event.metaKey) return keys[`mod+${event.key.toLowerCase()}`];
  if (event.altKey || typing(event) || !preferences.getState().singleKeys) return undefined;
  const now = event.timeStamp;
  const sequence = first && now - firstAt < SEQUENCE_MS ? `${first} ${event.key}` : "";
  if (sequence && keys[sequence]) return keys[sequence];
  if (event.key === "g") {
    first = event.key;
    firstAt = now;
    return undefined;
  }
  if (sequence) return undefined;
  return keys[event.key];
}

function typing(event: KeyboardEvent): boolean {
  const target = event.target as Element | null;
  if (document.querySelector("dialog[open]")) return true;
  return !!target?.closest("input, textarea, select, [contenteditable], [role=menu]");
}
