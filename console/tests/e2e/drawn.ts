/** What can be said of a drawn page on every machine: its boxes, sizes of text and colours. */

import { readFileSync } from "node:fs";
import type { Page } from "@playwright/test";

const TOKENS = readFileSync("src/design/tokens.css", "utf8");
const named = (pattern: RegExp) =>
  [...new Set([...TOKENS.matchAll(pattern)].map(([, name]) => name ?? ""))].sort();
const SIZES = named(/(--text-\w+): [\d.]+rem/g);
const COLOURS = named(/(--[\w-]+): #[0-9a-f]{6}/g);

/** The texts and boxes that are out of their place, of another size or of another colour. */
export async function faults(page: Page): Promise<string[]> {
  return await page.evaluate(
    ({ sizes, colours }) => {
      const style = getComputedStyle(document.documentElement);
      const probe = document.createElement("i");
      document.body.append(probe);
      const resolved = (name: string) => {
        probe.style.color = style.getPropertyValue(name);
        return getComputedStyle(probe).color;
      };
      const known = new Set(colours.map(resolved));
      const scale = sizes.map((name) => Number.parseFloat(style.getPropertyValue(name)) * 16);
      probe.remove();

      const found: string[] = [];
      const width = document.documentElement.clientWidth;
      if (document.documentElement.scrollWidth > width) found.push("the page scrolls sideways");
      for (const each of document.querySelectorAll<HTMLElement>("body *")) {
        const box = each.getBoundingClientRect();
        if (!each.checkVisibility() || box.width < 2 || box.height < 2) continue;
        if (each.closest("svg, canvas, option, [data-testid=stage], .u-wrap")) continue;
        const shown = getComputedStyle(each);
        const text = [...each.childNodes]
          .filter((node) => node.nodeType === Node.TEXT_NODE)
          .map((node) => node.textContent?.trim() ?? "")
          .join("");
        const where = `${each.tagName.toLowerCase()}.${each.className} "${text.slice(0, 40)}"`;
        const scrolls = ["auto", "scroll"].includes(shown.overflowX);
        // On a phone a table that keys can scroll may be wider than the screen, and the grid of
        // runs has as many columns as there are runs.
        const meant =
          each.matches("pre, [data-testid=runs]") ||
          (width < 721 && each.matches("[role=group][tabindex]"));
        if (scrolls && each.scrollWidth > each.clientWidth + 1 && !meant) {
          found.push(`scrolls sideways by ${each.scrollWidth - each.clientWidth} px: ${where}`);
        }
        if (!text && !each.matches("input, select, textarea")) continue;
        const outer = frameOf(each);
        if (outer && (box.right > outer.right + 1 || box.left < outer.left - 1)) {
          const by = Math.round(Math.max(box.right - outer.right, outer.left - box.left));
          found.push(`reaches out of its panel by ${by} px: ${where}`);
        }
        // What the browser draws in a control, such as a slider, has colours of its own.
        if (!text) continue;
        const size = Number.parseFloat(shown.fontSize);
        if (size > 0 && !scale.some((one) => Math.abs(one - size) < 0.1)) {
          found.push(`has a text of ${size} px: ${where}`);
        }
        for (const colour of [shown.color, shown.backgroundColor]) {
          const plain = colour.startsWith("rgb(");
          if (plain && !known.has(colour)) found.push(`has the colour ${colour}: ${where}`);
        }
      }
      return [...new Set(found)];

      /** The panel that a text stands in; none within what cuts or scrolls it on purpose. */
      function frameOf(element: Element): DOMRect | undefined {
        for (let outer: Element | null = element; outer; outer = outer.parentElement) {
          const { overflowX, position } = getComputedStyle(outer);
          const cuts = overflowX !== "visible" && outer.matches(".truncate, pre, [role=tree] *");
          const floats = position === "fixed" || outer.matches("[aria-hidden=true]");
          const scrolled = width < 721 && outer.matches("[role=group]");
          if (cuts || floats || scrolled) return undefined;
          if (outer !== element && outer.matches("main, aside, section, header, nav, dialog")) {
            return outer.getBoundingClientRect();
          }
        }
        return undefined;
      }
    },
    { sizes: SIZES, colours: COLOURS },
  );
}
