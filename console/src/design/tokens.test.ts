import { readFileSync } from "node:fs";
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
