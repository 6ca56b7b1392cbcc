import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";

const FILES = (readdirSync("src", { recursive: true }) as string[]).filter(
  (name) => /\.tsx?$/.test(name) && !name.includes(".test.") && name !== "api/schema.ts",
);
const ROUTES = new Set(["app/routes.tsx", "app/operateRoutes.ts", "app/builderRoutes.ts"]);
const LINES_MAX = 300;

function imports(name: string): string[] {
  const text = readFileSync(`src/${name}`, "utf8").replace(/import type [^;]+;/g, "");
  return [...text.matchAll(/(?:from|import\()\s*"@\/([^"]+)"/g)].map((found) => found[1] ?? "");
}

test("the model imports nothing of the rest", () => {
  for (const name of FILES.filter((each) => each.startsWith("model/"))) {
    expect(
      imports(name).filter((each) => !each.startsWith("model/")),
      name,
    ).toEqual([]);
  }
});

test("a feature imports no other feature, and nothing below imports features", () => {
  for (const name of FILES) {
    const own = name.split("/").slice(0, 2).join("/");
    const foreign = imports(name).filter(
      (each) => each.startsWith("features/") && !each.startsWith(`${own}/`),
    );
    if (!ROUTES.has(name)) expect(foreign, name).toEqual([]);
  }
});

test("every class that a component names is in its style sheet", () => {
  for (const name of FILES) {
    const text = readFileSync(`src/${name}`, "utf8");
    for (const [, alias, path = ""] of text.matchAll(/import (\w+) from "(.+\.module\.css)"/g)) {
      const folder = path.startsWith("@/") ? "" : dirname(name);
      const sheet = readFileSync(join("src", folder, path.replace("@/", "")), "utf8");
      for (const [, named] of text.matchAll(new RegExp(`{[^}]*\\b${alias}\\.(\\w+)`, "g"))) {
        expect(sheet, `${name} names ${named}`).toContain(`.${named}`);
      }
    }
  }
});

test("files are short", () => {
  const long = FILES.filter((name) => {
    return readFileSync(`src/${name}`, "utf8").split("\n").length > LINES_MAX;
  });
  expect(long).toEqual([]);
});
