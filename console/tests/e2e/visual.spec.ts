/**
 * Pictures of pages whose content does not change: those of an empty namespace at a fixed time,
 * and dialogs. `npx playwright test visual --update-snapshots` takes them anew after a wanted
 * change.
 */

import type { Locator, Page } from "@playwright/test";
import { expect, expecting, test, theme } from "./fixtures";

interface State {
  path: string;
  /** A text that is shown when the page is complete. */
  text: string;
  /** An error that the console of the browser has to have. */
  expects?: string;
}

const STATES: Record<string, State> = {
  home: { path: "/console", text: "Start your first execution" },
  executions: { path: "/executions", text: "No executions in this time" },
  "executions-filtered": {
    path: "/executions?q=status+%3D+failed",
    text: "No execution matches",
  },
  "executions-wrong": {
    path: "/executions?q=stats+%3D+failed",
    text: "Columns",
    expects: "400",
  },
  "execution-missing": {
    path: "/executions/exec-nothing",
    text: "There is no such execution",
    expects: "404",
  },
  compare: { path: "/executions/compare", text: "Execution on the left" },
  approvals: { path: "/approvals", text: "No approval waits" },
  triggers: { path: "/triggers", text: "No triggers yet" },
  "dead-letters": { path: "/dead-letters", text: "No dead letters" },
  bulk: { path: "/bulk", text: "No bulk actions yet" },
  grid: { path: "/visualization/grid", text: "No workflows yet" },
  topology: { path: "/visualization/topology", text: "No workflows yet" },
  galaxy: { path: "/visualization/galaxy", text: "The sky is empty" },
  queues: { path: "/queues", text: "No limits" },
  settings: { path: "/settings", text: "Shown namespace" },
  login: { path: "/login", text: "Sign in to Flowmesh" },
  nowhere: { path: "/console/nowhere", text: "There is no page at this address" },
};

const NOW = new Date("2026-11-26T10:00:00Z");

test.use({ viewport: { width: 1000, height: 640 } });

test.beforeEach(async ({ page }) => {
  await page.clock.setFixedTime(NOW);
  await page.route("**/api/v1/console/session", async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ json: { ...(await answer.json()), time: NOW.toISOString() } });
  });
  await page.addInitScript(() => {
    const state = { namespace: "nothing-here", singleKeys: true, density: "normal" };
    localStorage.setItem("flowmesh.preferences", JSON.stringify({ state, version: 1 }));
  });
});

/** The same picture as before, in both themes. */
async function asBefore(page: Page, shown: Locator, name: string) {
  for (const colours of ["light", "dark"] as const) {
    await theme(page, colours);
    await expect(shown).toHaveScreenshot(`${name}-${colours}.png`, { maxDiffPixelRatio: 0.01 });
  }
}

for (const [name, { path, text, expects }] of Object.entries(STATES)) {
  test(`the page looks as it did: ${name} @S0-132`, async ({ page }) => {
    if (expects) expecting(expects);
    await page.goto(path);
    await expect(page.getByText(text, { exact: true })).toBeVisible();
    await expect(page.getByRole("status", { name: "Loading" })).toHaveCount(0);
    await asBefore(page, page.locator("main"), name);
  });
}

test("the components look as they did @S0-132", async ({ page }) => {
  await page.setViewportSize({ width: 1000, height: 1500 });
  await page.goto("/styleguide");
  await expect(page.getByText("Nothing here", { exact: true })).toBeVisible();
  await asBefore(page, page.locator("main"), "styleguide");
});

const DIALOGS: Record<string, { path: string; open: (page: Page) => Promise<void> }> = {
  limit: {
    path: "/queues",
    open: (page) => page.getByRole("button", { name: "Set a limit" }).click(),
  },
  dispatch: {
    path: "/queues",
    open: (page) => page.getByRole("button", { name: "Stop dispatch" }).click(),
  },
  view: {
    path: "/executions?q=status+%3D+failed",
    open: async (page) => {
      await page.getByRole("combobox", { name: "Filter" }).fill("status = paused");
      await page.getByRole("combobox", { name: "Filter" }).press("Enter");
      await page.getByRole("button", { name: "Save view" }).click();
    },
  },
  keys: { path: "/settings", open: (page) => page.keyboard.press("?") },
  palette: { path: "/settings", open: (page) => page.keyboard.press("Control+k") },
};

for (const [name, { path, open }] of Object.entries(DIALOGS)) {
  test(`a dialog looks as it did: ${name} @S0-132`, async ({ page }) => {
    await page.goto(path);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await expect(page.getByRole("status", { name: "Loading" })).toHaveCount(0);
    await open(page);
    await expect(page.getByRole("dialog")).toBeVisible();
    await asBefore(page, page.getByRole("dialog"), name);
  });
}
