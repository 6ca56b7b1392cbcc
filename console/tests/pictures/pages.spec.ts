/**
 * Pictures of all pages to be looked at, in both themes and at the width of a phone:
 * `python -m tests.console.pictures pages` writes them to build/console-pictures.
 */

import { expect, type Page, test } from "@playwright/test";
import { seeded, theme } from "../e2e/fixtures";

const FOLDER = "../build/console-pictures";
const WIDE = { width: 1_280, height: 800 };
const PHONE = { width: 390, height: 844 };

const execution = (name: string, rest = "") => `/executions/${seeded(name)}${rest}`;

const PAGES: readonly (readonly [name: string, path: () => string])[] = [
  ["home", () => "/console"],
  ["executions", () => "/executions"],
  ["executions-none", () => "/executions?q=status+%3D+failed+AND+workflow+%3D+nothing"],
  ["executions-wrong", () => "/executions?q=stats+%3D+failed"],
  ["execution-completed", () => execution("completed")],
  ["execution-failed", () => execution("failed", "?node=charge")],
  ["execution-held", () => execution("held", "?node=charge")],
  ["execution-retrying", () => execution("retrying", "?node=poll-carrier")],
  ["execution-approval", () => execution("approval", "?node=approve")],
  ["execution-stuck", () => execution("stuck", "?node=convert")],
  ["execution-paused", () => execution("paused")],
  ["execution-saga", () => execution("saga")],
  ["execution-nested", () => execution("nested", "?tab=children")],
  ["execution-wide", () => execution("wide")],
  ["execution-wide-timeline", () => execution("wide", "?tab=timeline")],
  ["execution-map", () => execution("map", "?node=each")],
  ["execution-map-timeline", () => execution("map", "?tab=timeline")],
  ["execution-timeline", () => execution("failed", "?tab=timeline")],
  ["execution-history", () => execution("failed", "?tab=history")],
  ["execution-values", () => execution("completed", "?tab=values")],
  ["execution-paths", () => execution("failed", "?tab=paths")],
  ["execution-long", () => execution("long", "?node=send-the-monthly-statement-to-every-customer")],
  ["execution-long-values", () => execution("long", "?tab=values")],
  ["execution-missing", () => "/executions/exec-nothing"],
  ["debug", () => execution("completed", "/debug?at=9&watch=tasks.charge.output")],
  ["rerun", () => execution("failed", "/rerun")],
  ["compare", () => `/executions/compare?left=${seeded("completed")}&right=${seeded("failed")}`],
  ["compare-none", () => "/executions/compare"],
  ["workflows", () => "/workflows"],
  ["workflow", () => "/workflows/orders"],
  ["builder-start", () => "/workflows/new"],
  ["builder", () => "/workflows/orders/edit"],
  ["tasks", () => "/tasks"],
  ["templates", () => "/templates"],
  ["apps", () => "/apps"],
  ["composer-start", () => "/apps/new"],
  ["approvals", () => "/approvals"],
  ["triggers", () => "/triggers"],
  ["queues", () => "/queues"],
  ["dead-letters", () => "/dead-letters"],
  ["workers", () => "/workers"],
  ["services", () => "/services"],
  ["messages", () => "/messages"],
  ["streams", () => "/streams"],
  ["audit", () => "/audit"],
  ["projects", () => "/projects"],
  ["secrets", () => "/secrets"],
  ["agents", () => "/agents"],
  ["bulk", () => "/bulk"],
  ["dashboards", () => "/dashboards"],
  ["dashboards-workflow", () => "/dashboards?workflow=orders"],
  ["grid", () => "/visualization/grid?workflow=orders"],
  ["topology", () => "/visualization/topology"],
  ["galaxy", () => "/visualization/galaxy"],
  ["settings", () => "/settings"],
  ["login", () => "/login"],
  ["nowhere", () => "/console/no/such/page"],
];

async function taken(page: Page, name: string): Promise<void> {
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await expect(page.getByRole("status", { name: "Loading" })).toHaveCount(0);
  await page.waitForLoadState("networkidle");
  await page.evaluate(() => document.fonts.ready);
  await page.screenshot({ path: `${FOLDER}/${name}.png`, animations: "disabled" });
}

for (const [name, path] of PAGES) {
  test(`picture: ${name}`, async ({ page }) => {
    await page.setViewportSize(WIDE);
    for (const colours of ["light", "dark"] as const) {
      await theme(page, colours);
      await page.goto(path());
      await taken(page, `${name}-${colours}`);
    }
    await page.setViewportSize(PHONE);
    await theme(page, "light");
    await page.goto(path());
    await taken(page, `${name}-phone`);
    const over = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    if (over > 0) test.info().annotations.push({ type: "wide", description: `${name}: ${over}` });
  });
}
