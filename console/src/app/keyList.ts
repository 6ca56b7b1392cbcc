/** The keys of the console as the help lists them; a test holds them equal to those that act. */

export interface KeyGroup {
  title: string;
  /** Keys as `useKeys` names them, each with what it does. */
  keys: readonly (readonly [key: string, what: string])[];
}

export const KEY_GROUPS: readonly KeyGroup[] = [
  {
    title: "Everywhere",
    keys: [
      ["mod+k", "Search or act"],
      ["/", "Filter"],
      ["?", "These keys"],
      ["Escape", "Choose nothing"],
    ],
  },
  {
    title: "In lists",
    keys: [
      ["j", "Next row"],
      ["k", "Previous row"],
      ["Enter", "Open"],
      ["x", "Select the row"],
    ],
  },
  {
    title: "On an execution",
    keys: [
      [".", "Actions"],
      ["1", "First view; 2 to 6 are the others"],
      ["l", "Back to live"],
    ],
  },
  {
    title: "In the debugger, and in a comparison",
    keys: [
      [" ", "Play or pause"],
      ["ArrowLeft", "Event before; with Shift, of a task"],
      ["ArrowRight", "Next event; with Shift, of a task"],
      ["[", "Problem or difference before"],
      ["]", "Next problem or difference"],
      ["Home", "First event"],
      ["End", "Last event"],
      ["z", "Fold or unfold idle stretches"],
      ["b", "Stop before every task"],
      ["c", "Continue a stopped task"],
    ],
  },
  {
    title: "In the builder",
    keys: [
      ["mod+s", "Save or deploy"],
      ["mod+z", "Undo"],
      ["mod+y", "Redo"],
      ["mod+b", "Show or hide the palette"],
      ["a", "Find in the palette"],
      ["i", "Add under the pointer"],
      ["c", "Connect with another box"],
      ["o", "Open the tasks within"],
      ["Delete", "Remove what is selected"],
      ["t", "Text"],
      ["p", "Properties"],
      ["r", "Run"],
      ["u", "Routes of an application"],
    ],
  },
];

/** A key as it stands on a keyboard. */
export function keyName(key: string): string {
  if (key.startsWith("mod+")) return `Ctrl ${key.slice("mod+".length).toUpperCase()}`;
  const arrows: Record<string, string> = { ArrowLeft: "←", ArrowRight: "→", " ": "Space" };
  return arrows[key] ?? (key.length === 1 ? key.toUpperCase() : key);
}
