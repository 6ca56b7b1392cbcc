import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { KEY_GROUPS } from "./keyList";

const FILES = (readdirSync("src", { recursive: true }) as string[]).filter(
  (name) => /\.tsx?$/.test(name) && !name.includes(".test.") && !name.startsWith("app/key"),
);
/** What the browser calls a key; other names are members of values. */
const KEY = /^(?:.|mod\+.|Escape|Enter|Home|End|Delete|Arrow\w+)$/;
/** A key of a map, with the function that it calls. */
const MAPPED = /(?:"([^"]+)"|\b([A-Za-z]\w*)): (?:\([^)]*\) =>|(?!undefined)[a-z]\w*\s*[,}])/g;

/** The arguments of the calls of a function in a text. */
function callsOf(text: string, name: string): string[] {
  return text
    .split(`${name}(`)
    .slice(1)
    .map((rest) => {
      let depth = 1;
      let at = 0;
      for (; at < rest.length && depth > 0; at += 1) {
        if (rest[at] === "(") depth += 1;
        if (rest[at] === ")") depth -= 1;
      }
      return rest.slice(0, at);
    });
}

/** The keys that act somewhere; those of `G` and of the views are made of lists. */
function acting(): Set<string> {
  const found = new Set(["1"]);
  for (const name of FILES) {
    const text = readFileSync(`src/${name}`, "utf8");
    const maps = name === "editing/undoKeys.ts" ? [text] : callsOf(text, "useKeys");
    for (const map of maps) {
      for (const [, quoted, bare] of map.matchAll(MAPPED)) found.add(quoted ?? bare ?? "");
    }
    if (name !== "editing/canvas.tsx") continue;
    for (const [, key] of text.matchAll(/event\.key === "([a-z]|Delete)"/g)) found.add(key ?? "");
  }
  return new Set([...found].filter((key) => KEY.test(key)));
}

test("the help lists the keys that act, and no others", () => {
  const listed = KEY_GROUPS.flatMap(({ keys }) => keys.map(([key]) => key));
  expect([...new Set(listed)].sort()).toEqual([...acting()].sort());
});
