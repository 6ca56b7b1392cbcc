/**
 * Keys of the page and of the elements on it: single keys, sequences such as `g e`, and combinations
 * such as `mod+k`. One that the help does not list does not act.
 */

import { type RefObject, useEffect, useRef } from "react";
import { type KeyOf, listed, type View } from "./keyList";
import { preferences } from "./preferences";

/** An event of the browser or of React. */
type Pressed = Pick<
  KeyboardEvent,
  "key" | "altKey" | "ctrlKey" | "metaKey" | "shiftKey" | "target" | "preventDefault"
>;
type Act = (event: Pressed) => void;
export type KeyMap<V extends View> = Readonly<Partial<Record<KeyOf<V>, Act | undefined>>>;
/** Sequences that lead to pages; the list of the pages is their help. */
type Pages = Readonly<Record<`g ${string}`, Act>>;

const SEQUENCE_MS = 1_200;

/** The first key of a sequence that was begun. */
interface Begun {
  key: string;
  at: number;
}

/** Handle keys while the component is shown, except in fields and in open dialogs. */
export function useKeys<V extends View>(view: V, keys: KeyMap<V>, pages: Pages = {}): void {
  const newest = useRef({ view, keys, pages });
  useEffect(() => {
    newest.current = { view, keys, pages };
  });
  const begun = useRef<Begun>(undefined);
  useEffect(() => {
    const handle = (event: KeyboardEvent) => {
      const { view, keys, pages } = newest.current;
      const name = acting(event, begun);
      const run = pages[name as keyof Pages] ?? actOf(view, keys, name);
      if (!run) return;
      event.preventDefault();
      run(event);
    };
    addEventListener("keydown", handle);
    return () => removeEventListener("keydown", handle);
  }, []);
}

/** Let a key act on the element that has the focus; whether it did. */
export function actOn<V extends View>(view: V, event: Pressed, keys: KeyMap<V>): boolean {
  const run = actOf(view, keys, nameOf(event));
  if (!run) return false;
  event.preventDefault();
  run(event);
  return true;
}

function actOf<V extends View>(view: V, keys: KeyMap<V>, name: string): Act | undefined {
  return listed(view, name) ? keys[name] : undefined;
}

/** The name of a key in the list of keys. */
function nameOf({ key, altKey, ctrlKey, metaKey }: Pressed): string {
  if (ctrlKey || metaKey) return `mod+${key.toLowerCase()}`;
  return altKey ? `alt+${key}` : key;
}

/** The key or sequence that may act on the page now; empty if none may. */
function acting(event: KeyboardEvent, begun: RefObject<Begun | undefined>): string {
  const name = nameOf(event);
  if (event.defaultPrevented) return "";
  // Combinations type nothing, so they act in fields too.
  if (name.startsWith("mod+")) return name;
  if (/^F\d/.test(name)) return document.querySelector("dialog[open]") ? "" : name;
  if (event.altKey || typing(event) || pressing(event) || !preferences.getState().singleKeys)
    return "";
  const first = begun.current;
  begun.current = undefined;
  if (first && event.timeStamp - first.at < SEQUENCE_MS) return `${first.key} ${event.key}`;
  if (event.key !== "g") return name;
  begun.current = { key: event.key, at: event.timeStamp };
  return "";
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
