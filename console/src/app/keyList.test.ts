import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { helpOf, KEYS, keyName, listed, type View } from "./keyList";

const VIEWS = Object.keys(KEYS) as View[];
const FILES = (readdirSync("src", { recursive: true }) as string[]).filter(
  (name) => /\.tsx?$/.test(name) && !name.includes(".test.") && !name.startsWith("app/key"),
);
/** Fields and controls with the keys that they have on any page, such as Enter in a field. */
const CONTROLS = [
  "design/splitter.tsx",
  "design/tabs.tsx",
  "editing/edgeLines.tsx",
  "editing/palette.tsx",
  "features/apps/inspector.tsx",
  "features/apps/stepForm.tsx",
  "features/builder/quickAdd.tsx",
  "features/builder/taskFields.tsx",
  "features/execution/debug/scrubber.tsx",
  "features/executions/filterBar.tsx",
  "values/schemaGroups.tsx",
];
/** The calls and types that say for which part of the console a map of keys is. */
const MAPS = /(?:useKeys|actOn)\(\s*"(\w+)"|KeyMap<"(\w+)">/g;

const read = (name: string) => readFileSync(`src/${name}`, "utf8");

/** Whether a text has a key of a map with something that acts. */
function has(text: string, key: string): boolean {
  const bare = /^[A-Za-z]\w*$/.test(key) ? `(?:"${key}"|(?<![\\w.])${key})` : `"${quoted(key)}"`;
  return new RegExp(`${bare}: (?!undefined|")\\S`).test(text);
}

function quoted(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

test.each(VIEWS)("all keys of the help act: %s", (view) => {
  const texts = FILES.map(read).filter((text) =>
    [...text.matchAll(MAPS)].some(
      ([, call, type]) => view === "everywhere" || (call ?? type) === view,
    ),
  );
  const idle = Object.keys(KEYS[view].keys).filter((key) => !texts.some((text) => has(text, key)));
  expect(idle).toEqual([]);
});

test("no key acts that the help does not list", () => {
  expect(listed("builder", "q")).toBe(false);
  expect(listed("execution", "j")).toBe(false);
  expect(listed("builder", "alt+ArrowUp")).toBe(true);
  expect(listed("grid", "mod+k")).toBe(true);
});

test("keys that are no control's own are handled by the list alone", () => {
  const reading = FILES.filter((name) => /\b(?:event|pressed)\.key\b/.test(read(name)));
  expect(reading.sort()).toEqual(CONTROLS);
});

test("the help shows each key of a part once, those that do the same together", () => {
  for (const view of VIEWS) {
    const shown = helpOf(view).flatMap(({ keys }) => keys);
    expect(shown.sort()).toEqual(Object.keys(KEYS[view].keys).sort());
  }
  const move = helpOf("builder").find(({ words }) => words === "Move the box");
  expect(move?.keys.map(keyName)).toEqual(["Alt ←", "Alt →"]);
});
