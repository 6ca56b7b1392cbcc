import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const css = readFileSync("src/design/tokens.css", "utf8");
const THEMES = { light: ":root {", dark: ':root[data-theme="dark"] {' } as const;
const FAMILIES = ["running", "success", "failed", "attention", "undoing", "neutral"];
const CONTRAST_MIN = 4.5;

function colours(theme: keyof typeof THEMES): Record<string, string> {
  const from = css.indexOf(THEMES[theme]);
  const block = css.slice(from, css.indexOf("}", from));
  return Object.fromEntries(
    [...block.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map(([, name, value]) => [name, value]),
  );
}

function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(left: string, right: string): number {
  const [dark = 0, light = 0] = [luminance(left), luminance(right)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

test.each(["light", "dark"] as const)("text and families can be read in the %s theme", (theme) => {
  const found = colours(theme);
  for (const surface of [found.surface, found.frame]) {
    for (const name of ["text", "muted", ...FAMILIES]) {
      const shown = contrast(found[name] ?? "", surface ?? "");
      expect(shown, `${name} on ${surface}`).toBeGreaterThanOrEqual(CONTRAST_MIN);
    }
  }
});

const SHEETS = (readdirSync("src", { recursive: true }) as string[]).filter((name) =>
  name.endsWith(".css"),
);
/** The declarations of a property in all style sheets, as `file: value`. */
function declared(property: string): string[] {
  return SHEETS.flatMap((name) => {
    const text = readFileSync(`src/${name}`, "utf8");
    const found = text.matchAll(new RegExp(`(?<![\\w-])(?:${property}): ([^;{}]+);`, "g"));
    return [...found].map(([, value]) => `${name}: ${value}`);
  });
}

test("texts have one of three sizes", () => {
  const size = /var\(--text-(small|normal|large)\)|: (inherit|0)$/;
  const sizes = [...declared("font-size"), ...declared("font")];
  expect(sizes.length).toBeGreaterThan(100);
  expect(sizes.filter((each) => !size.test(each))).toEqual([]);
});

test("distances are of one scale", () => {
  const other = /(?<![\w.-])-?(?!1px)[\d.]+(px|rem|em)/;
  const distances = declared("(?:padding|margin|(?:row-|column-)?gap)(?:-[a-z]+)*");
  expect(distances.length).toBeGreaterThan(200);
  expect(distances.filter((each) => other.test(each))).toEqual([]);
});
