/**
 * Pictures of all pages to be looked at, in both themes and at the width of a phone:
 * `python -m tests.console.pictures pages` writes them to build/console-pictures.
 */

import { expect, type Page, test } from "@playwright/test";
import { seeded, theme } from "../e2e/fixtures";
import { PAGES, type Shown } from "../pages";

const FOLDER = "../build/console-pictures";
const WIDE = { width: 1_280, height: 800 };
const PHONE = { width: 390, height: 844 };

const execution = (name: string, rest = "") => `/executions/${seeded(name)}${rest}`;

/** Further states of pages beside those of the list. */
const STATES: readonly Shown[] = [
  {
    name: "executions-none",
    path: () => "/executions?q=status+%3D+failed+AND+workflow+%3D+nothing",
  },
  { name: "executions-wrong", path: () => "/executions?q=stats+%3D+failed" },
  { name: "execution-retrying", path: () => execution("retrying", "?node=poll-carrier") },
  { name: "execution-stuck", path: () => execution("stuck", "?node=convert") },
  { name: "execution-paused", path: () => execution("paused") },
  { name: "execution-saga", path: () => execution("saga") },
  { name: "execution-wide-timeline", path: () => execution("wide", "?tab=timeline") },
  { name: "execution-map-timeline", path: () => execution("map", "?tab=timeline") },
  { name: "execution-long-values", path: () => execution("long", "?tab=values") },
  { name: "execution-missing", path: () => "/executions/exec-nothing" },
  { name: "compare-none", path: () => "/executions/compare" },
  { name: "nowhere", path: () => "/console/no/such/page" },
];

async function taken(page: Page, name: string): Promise<void> {
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await expect(page.getByRole("status", { name: "Loading" })).toHaveCount(0);
  await page.waitForLoadState("networkidle");
  await page.evaluate(() => document.fonts.ready);
  await page.screenshot({ path: `${FOLDER}/${name}.png`, animations: "disabled" });
}

for (const { name, path } of [...PAGES.filter((each) => !each.closed), ...STATES]) {
  test(`picture: ${name}`, async ({ page }) => {
    await page.setViewportSize(WIDE);
    for (const colours of ["light", "dark"] as const) {
      await theme(page, colours);
      await page.goto(path(seeded));
      await taken(page, `${name}-${colours}`);
    }
    await page.setViewportSize(PHONE);
    await theme(page, "light");
    await page.goto(path(seeded));
    await taken(page, `${name}-phone`);
    const over = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    if (over > 0) test.info().annotations.push({ type: "wide", description: `${name}: ${over}` });
  });
}
