/**
 * Every page with content, in both themes and at the width of a phone: nothing lies outside of its
 * panel, texts have the sizes and colours of the tokens, and nothing breaks WCAG. The pictures are
 * in build/console-pages, to be looked at.
 */

import type { Page } from "@playwright/test";
import { PAGES } from "../pages";
import { faults } from "./drawn";
import { clean, expect, expecting, seeded, test, theme } from "./fixtures";
import { signIn, staff } from "./staff";

const FOLDER = "../build/console-pages";
const WIDE = { width: 1_280, height: 800 };
const PHONE = { width: 390, height: 844 };

test.use({ viewport: WIDE });

async function complete(page: Page): Promise<void> {
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await expect(page.getByRole("status", { name: "Loading" })).toHaveCount(0);
  await page.evaluate(() => document.fonts.ready);
}

/** The page as it is drawn in a theme; what is drawn late has its time. */
async function inOrder(page: Page, name: string): Promise<void> {
  await complete(page);
  await expect.poll(() => faults(page), { message: name }).toEqual([]);
  await page.screenshot({ path: `${FOLDER}/${name}.png`, animations: "disabled" });
}

async function lookedAt(page: Page, name: string): Promise<void> {
  for (const colours of ["light", "dark"] as const) {
    await theme(page, colours);
    await expect(page.locator("html")).toHaveAttribute("data-theme", colours);
    await inOrder(page, `${name}-${colours}`);
  }
  await clean(page);
  await page.setViewportSize(PHONE);
  await inOrder(page, `${name}-phone`);
}

for (const { name, path } of PAGES.filter((each) => !each.closed)) {
  test(`the page keeps to its panels, sizes, colours and WCAG: ${name} @S0-132`, async ({
    page,
  }) => {
    await page.goto(path(seeded));
    await lookedAt(page, name);
  });
}

test.describe("closed", () => {
  test.use({ baseURL: staff.url ?? "http://127.0.0.1:1" });

  test("the pages of a closed installation keep to the same @S1-111", async ({ page }) => {
    // A code that no program asked for.
    expecting("404");
    await signIn(page, "owner", "/access");
    for (const { name, path } of PAGES.filter((each) => each.closed)) {
      await page.setViewportSize(WIDE);
      await page.goto(path(seeded));
      await lookedAt(page, name);
    }
  });
});
