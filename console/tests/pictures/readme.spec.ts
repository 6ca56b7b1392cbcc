/** The pictures of the README. Each waits until the page has all of its data. */

import { expect, type Page, test } from "@playwright/test";
import { seeded } from "../e2e/fixtures";

const FOLDER = process.env.PICTURES ?? "../docs/images";

async function taken(page: Page, name: string): Promise<void> {
  await expect(page.getByRole("status", { name: "Loading" })).toHaveCount(0);
  await page.evaluate(() => document.fonts.ready);
  await page.screenshot({ path: `${FOLDER}/${name}.png`, animations: "disabled" });
}

test("the list of executions", async ({ page }) => {
  await page.goto("/executions");
  await expect(page.getByText("orders").first()).toBeVisible();
  await taken(page, "console-executions");
});

test("an order that is held, with what can be done", async ({ page }) => {
  await page.goto(`/executions/${seeded("held")}?tab=graph&node=charge`);
  await expect(page.getByRole("complementary")).toContainText("CardDeclined");
  await taken(page, "console-execution");
});

test("the galaxy, in the dark", async ({ page }) => {
  await page.emulateMedia({ colorScheme: "dark" });
  await page.goto("/visualization/galaxy");
  await expect(page.locator("canvas")).toBeVisible();
  await expect(page.locator("canvas + div span").first()).toBeVisible();
  await taken(page, "console-galaxy");
});
