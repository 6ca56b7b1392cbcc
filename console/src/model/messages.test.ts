import { readdirSync, readFileSync } from "node:fs";
import { parseSync } from "vite";
import { expect, test } from "vitest";
import { access } from "../../messages/access";
import { agents } from "../../messages/agents";
import { apps } from "../../messages/apps";
import { builder } from "../../messages/builder";
import { cells } from "../../messages/cells";
import { en } from "../../messages/en";
import { numbers } from "../../messages/numbers";
import { observe } from "../../messages/observe";
import { pages } from "../../messages/pages";
import { plugins } from "../../messages/plugins";
import { projects } from "../../messages/projects";
import { records } from "../../messages/records";
import { styleguide } from "../../messages/styleguide";
import { formatted } from "./messages";

/** Folders whose texts are all in the catalog; the others follow. */
const TRANSLATED = [
  "app/errors",
  "canvas/",
  "editing/",
  "features/access/",
  "features/apps/",
  "features/agents/",
  "features/audit/",
  "features/messages/",
  "features/streams/",
  "features/styleguide/",
  "features/approvals/",
  "features/builder/",
  "features/bulk/",
  "features/compare/",
  "features/dashboards/",
  "features/dead-letters/",
  "features/execution/debug/",
  "features/executions/",
  "features/galaxy/",
  "features/home/",
  "features/library/",
  "features/login/",
  "features/queues/",
  "features/workflow/",
  "features/rerun/",
  "features/services/",
  "features/settings/",
  "features/triggers/",
  "features/visualize/",
  "features/workers/",
];
/** Attributes that a reader sees or hears. */
const SHOWN = new Set(["title", "label", "placeholder", "aria-label", "alt", "hint"]);

interface Found {
  type: string;
  [member: string]: unknown;
}

/** The texts that stand in the markup of a component. */
function textsOf(name: string, source = readFileSync(`src/${name}`, "utf8")): string[] {
  const found: string[] = [];
  walk(parseSync(name, source).program as unknown as Found, (node) => {
    if (node.type === "JSXText") found.push(String(node.value));
    if (node.type !== "JSXAttribute") return;
    const { name: attribute, value } = node as unknown as {
      name: { name: string };
      value: Found | null;
    };
    if (SHOWN.has(attribute.name) && value?.type === "Literal") found.push(String(value.value));
  });
  return found.map((text) => text.trim()).filter((text) => /\p{L}{2}/u.test(text));
}

function walk(node: unknown, visit: (node: Found) => void): void {
  if (Array.isArray(node)) for (const each of node) walk(each, visit);
  else if (node && typeof node === "object") {
    if ("type" in node) visit(node as Found);
    for (const each of Object.values(node)) walk(each, visit);
  }
}

const FILES = (readdirSync("src", { recursive: true }) as string[]).filter(
  (name) => name.endsWith(".tsx") && TRANSLATED.some((folder) => name.startsWith(folder)),
);

test("no text stands in the components", () => {
  expect(FILES.length).toBeGreaterThan(10);
  expect(
    Object.fromEntries(
      FILES.map((name) => [name, textsOf(name)]).filter(([, texts]) => texts?.length),
    ),
  ).toEqual({});
});

test("a text in the markup is found", () => {
  const source = 'const A = () => <p title="Some title">Some text {"and"} <b>more</b></p>;';
  expect(textsOf("a.tsx", source).toSorted()).toEqual(["Some text", "Some title", "more"]);
});

test("every message is used, and is well-formed", () => {
  const sources = (readdirSync("src", { recursive: true }) as string[])
    .filter((name) => /\.tsx?$/.test(name) && !name.includes(".test."))
    .map((name) => readFileSync(`src/${name}`, "utf8"))
    .join("\n");
  const named = new Set([...sources.matchAll(/"([\w.-]+)"/g)].map((found) => found[1]));
  const families = new Set([...sources.matchAll(/`([\w-]+)\.\$\{/g)].map((found) => found[1]));
  for (const [key, message] of Object.entries({
    ...en,
    ...access,
    ...apps,
    ...builder,
    ...cells,
    ...agents,
    ...plugins,
    ...projects,
    ...records,
    ...styleguide,
    ...numbers,
    ...observe,
    ...pages,
  })) {
    const family = key.slice(0, key.indexOf("."));
    expect(named.has(key) || families.has(family), key).toBe(true);
    const names = [...message.matchAll(/\{(\w+)[,}]/g)].map((found) => found[1] ?? "");
    for (const count of [0, 1, 7]) {
      const values = Object.fromEntries(names.map((name) => [name, count]));
      expect(formatted(message, values)).not.toMatch(/[{}#]/);
    }
  }
});

test("plurals and values", () => {
  const message = "{count, plural, =0 {no tasks} one {# task of {name}} other {# tasks of {name}}}";
  expect(formatted(message, { count: 0, name: "a" })).toBe("no tasks");
  expect(formatted(message, { count: 1, name: "a" })).toBe("1 task of a");
  expect(formatted(message, { count: 1_200, name: "a" })).toBe("1,200 tasks of a");
  expect(() => formatted(message, { count: 1 })).toThrow("no value for name");
  expect(() => formatted("{count", {})).toThrow("not closed");
});
