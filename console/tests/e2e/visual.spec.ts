/**
 * Pictures of pages whose content does not change: those of an empty namespace, and dialogs.
 * `npx playwright test visual --update-snapshots` takes them anew after a wanted change.
 */

import { expect, test, theme } from "./fixtures";

const STATES = [
  ["approvals", "/approvals", "No approval waits"],
  ["triggers", "/triggers", "No triggers yet"],
  ["bulk", "/bulk", "No bulk actions yet"],
  ["visualize", "/visualization", "Galaxy"],
  ["grid", "/visualization/grid", "No workflows yet"],
  ["galaxy", "/visualization/galaxy", "The sky is empty"],
  ["queues", "/queues", "No limits"],
] as const;

test.use({ viewport: { width: 1000, height: 640 } });

test.beforeEach(async ({ page }) => {
  await page.addInitScript(() => {
    const state = { namespace: "nothing-here", singleKeys: true, density: "normal" };
    localStorage.setItem("flowmesh.preferences", JSON.stringify({ state, version: 1 }));
  });
});

for (const [name, path, text] of STATES) {
  test(`the page looks as it did: ${name} @S0-132`, async ({ page }) => {
    for (const colours of ["light", "dark"] as const) {
      await theme(page, colours);
      await page.goto(path);
      await expect(page.getByText(text, { exact: true })).toBeVisible();
      await expect(page.locator("main")).toHaveScreenshot(`${name}-${colours}.png`, {
        maxDiffPixelRatio: 0.01,
      });
    }
  });
}

test("a dialog looks as it did: a limit @S0-132", async ({ page }) => {
  for (const colours of ["light", "dark"] as const) {
    await theme(page, colours);
    await page.goto("/queues");
    await page.getByRole("button", { name: "Set a limit" }).click();
    await expect(page.getByRole("dialog")).toHaveScreenshot(`limit-${colours}.png`, {
      maxDiffPixelRatio: 0.01,
    });
  }
});
