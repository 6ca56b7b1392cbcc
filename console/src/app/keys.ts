/** Keys of the page: single keys, sequences such as `g e`, and combinations such as `mod+k`. */

import { type RefObject, useEffect, useRef } from "react";
import { preferences } from "./preferences";

export type KeyMap = Readonly<Record<string, (event: KeyboardEvent) => void>>;

const SEQUENCE_MS = 1_200;

/** The first key of a sequence that was begun. */
interface Begun {
  key: string;
  at: number;
}

/** Handle keys while the component is shown, except in fields and in open dialogs. */
export function useKeys(keys: KeyMap): void {
  const newest = useRef(keys);
  useEffect(() => {
    newest.current = keys;
  });
  const begun = useRef<Begun>(undefined);
  useEffect(() => {
    const handle = (event: KeyboardEvent) => {
      const run = chosen(newest.current, event, begun);
      if (!run) return;
      event.preventDefault();
      run(event);
    };
    addEventListener("keydown", handle);
    return () => removeEventListener("keydown", handle);
  }, []);
}

function chosen(
  keys: KeyMap,
  event: KeyboardEvent,
  begun: RefObject<Begun | undefined>,
): KeyMap[string] | undefined {
  if (event.defaultPrevented) return undefined;
  if (event.ctrlKey || event.metaKey) return keys[`mod+${event.key.toLowerCase()}`];
  if (event.altKey || typing(event) || pressing(event) || !preferences.getState().singleKeys)
    return undefined;
  const first = begun.current;
  begun.current = undefined;
  if (first && event.timeStamp - first.at < SEQUENCE_MS) return keys[`${first.key} ${event.key}`];
  if (event.key === "g") {
    begun.current = { key: event.key, at: event.timeStamp };
    return undefined;
  }
  return keys[event.key];
}

function typing(event: KeyboardEvent): boolean {
  // Within a shadow root, such as that of the text editor, the target is the host.
  const target = event.composedPath()[0] as Element | undefined;
  if (document.querySelector("dialog[open]")) return true;
  return !!target?.closest(
    "input, textarea, select, [contenteditable], [role=menu], [role=menuitem]",
  );
}

/** Whether the key presses the control that has the focus. */
function pressing(event: KeyboardEvent): boolean {
  if (event.key !== " " && event.key !== "Enter") return false;
  const target = event.target as Element | null;
  return !!target?.closest("a, button, summary, [role=treeitem], [role=tab]");
}
