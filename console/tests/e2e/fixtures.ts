/** A page that fails its test on console errors, and the executions of the seed. */

import AxeBuilder from "@axe-core/playwright";
import { test as base, expect, type Page } from "@playwright/test";

/** Ids of the seeded executions by name. */
const ids = JSON.parse(process.env.SEEDED ?? "{}") as Record<string, string>;

export function seeded(name: string): string {
  const id = ids[name];
  if (!id) throw new Error(`the seed has no execution ${name}`);
  return id;
}

export const test = base.extend<{ quiet: undefined }>({
  quiet: [
    async ({ page }, use, info) => {
      const errors: string[] = [];
      page.on("console", (message) => {
        if (message.type() === "error") errors.push(message.text());
      });
      page.on("pageerror", (error) => errors.push(error.message));
      await use(undefined);
      const expected = info.annotations.filter((each) => each.type === "expects");
      const unexpected = errors.filter(
        (text) => !expected.some((each) => text.includes(each.description ?? "")),
      );
      expect(unexpected, "errors in the console of the browser").toEqual([]);
    },
    { auto: true },
  ],
});

/** Allow console errors with a text, such as those of a request that has to fail. */
export function expecting(text: string): void {
  test.info().annotations.push({ type: "expects", description: text });
}

export async function theme(page: Page, name: "light" | "dark"): Promise<void> {
  await page.emulateMedia({ colorScheme: name });
}

/** Nothing on the page breaks WCAG 2.2 AA, in either theme. */
export async function clean(page: Page): Promise<void> {
  for (const name of ["light", "dark"] as const) {
    await theme(page, name);
    const found = await new AxeBuilder({ page })
      .withTags(["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"])
      .analyze();
    const shown = found.violations.map((each) => ({
      rule: each.id,
      nodes: each.nodes.map((node) => `${node.target} ${node.failureSummary}`),
    }));
    expect(shown, `violations in the ${name} theme`).toEqual([]);
  }
}

export { expect };
