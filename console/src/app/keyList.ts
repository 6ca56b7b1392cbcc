/**
 * The keys of the console with their help, by the part of it in which they act. `useKeys` and
 * `actOn` take no others, so that none acts without help; a test finds help without a key.
 */

const EVERYWHERE = {
  "mod+k": "Search or act",
  "/": "Filter",
  "?": "These keys",
  Escape: "Choose nothing",
} as const;

const LIST = { j: "Next row", k: "Previous row", Enter: "Open", x: "Select the row" } as const;

const EXECUTION = {
  ".": "Actions",
  "1": "Graph",
  "2": "Timeline",
  "3": "History",
  "4": "Values",
  "5": "Paths",
  "6": "Children",
  "7": "Panels of plugins",
  l: "Back to live",
} as const;

const GRAPH = {
  ArrowUp: "Task above",
  ArrowDown: "Task below",
  ArrowLeft: "Task before",
  ArrowRight: "Task after",
  Home: "First task",
  End: "Last task",
  Enter: "Open the task",
  " ": "Open the task",
} as const;

const DEBUGGER = {
  " ": "Play or pause",
  ArrowLeft: "Event before; with Shift, of a task",
  ArrowRight: "Next event; with Shift, of a task",
  "[": "Problem or difference before",
  "]": "Next problem or difference",
  Home: "First event",
  End: "Last event",
  z: "Fold or unfold idle stretches",
  b: "Stop before every task",
  c: "Continue a stopped task",
} as const;

const GRID = {
  ArrowUp: "Next cell that way",
  ArrowDown: "Next cell that way",
  ArrowLeft: "Next cell that way",
  ArrowRight: "Next cell that way",
} as const;

const BUILDER = {
  "mod+s": "Save or deploy",
  "mod+z": "Undo",
  "mod+y": "Redo",
  F8: "Next finding; with Shift, the one before",
  "mod+b": "Show or hide the palette",
  a: "Find in the palette",
  i: "Add under the pointer",
  ArrowUp: "Next box that way",
  ArrowDown: "Next box that way",
  ArrowLeft: "Next box that way",
  ArrowRight: "Next box that way",
  "alt+ArrowUp": "Move the box, or the entry of a list",
  "alt+ArrowDown": "Move the box, or the entry of a list",
  "alt+ArrowLeft": "Move the box",
  "alt+ArrowRight": "Move the box",
  Enter: "Properties of the box",
  " ": "Select one more box",
  c: "Connect with another box",
  o: "Open the tasks within",
  Delete: "Remove what is selected",
  Backspace: "Remove what is selected",
  t: "Text",
  p: "Properties",
  r: "Run",
  u: "Routes of an application",
} as const;

export const KEYS = {
  everywhere: { title: "Everywhere", keys: EVERYWHERE },
  list: { title: "In lists", keys: LIST },
  execution: { title: "On an execution", keys: EXECUTION },
  graph: { title: "In a graph", keys: GRAPH },
  debugger: { title: "In the debugger, and in a comparison", keys: DEBUGGER },
  grid: { title: "In the grid", keys: GRID },
  builder: { title: "In the builder", keys: BUILDER },
} as const;

export type View = keyof typeof KEYS;

/** The keys of a part; those that act everywhere may mean something of its own there. */
export type KeyOf<V extends View> = keyof (typeof KEYS)[V]["keys"] | keyof typeof EVERYWHERE;

/** Whether the help lists a key, of a part or of all. */
export function listed<V extends View>(view: V, key: string): key is KeyOf<V> & string {
  return key in KEYS[view].keys || key in EVERYWHERE;
}

export interface Help {
  keys: string[];
  words: string;
}

/** The help of a part; keys that do the same stand together. */
export function helpOf(view: View): Help[] {
  const found = new Map<string, string[]>();
  for (const [key, words] of Object.entries<string>(KEYS[view].keys)) {
    found.set(words, [...(found.get(words) ?? []), key]);
  }
  return [...found].map(([words, keys]) => ({ words, keys }));
}

const NAMES: Record<string, string> = {
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  " ": "Space",
  mod: "Ctrl",
  alt: "Alt",
};

/** A key as it stands on a keyboard. */
export function keyName(key: string): string {
  const parts = key.length > 1 ? key.split("+") : [key];
  return parts
    .map((each) => NAMES[each] ?? (each.length === 1 ? each.toUpperCase() : each))
    .join(" ");
}
