/** The page at the width of a phone: places with words, cards, and a decision in three taps. */

import type { Page } from "@playwright/test";
import { named, store } from "./builder";
import { clean, expect, reached, rows, seeded, start, test } from "./fixtures";

test.use({ viewport: { width: 390, height: 844 }, hasTouch: true });

/** Elements of the page that reach beyond its right edge. */
async function beyond(page: Page, but = ".truncate"): Promise<string[]> {
  return await page.locator("main").evaluate(
    (main, but) =>
      [...main.querySelectorAll("*")]
        .filter((each) => each.checkVisibility() && !each.closest(but))
        .filter((each) => each.getBoundingClientRect().right > 391)
        .map((each) => `${each.tagName} ${each.className} ${each.textContent?.slice(0, 40)}`),
    but,
  );
}

test("a phone has five places with words, and all others behind More @S2-61", async ({ page }) => {
  await page.goto("/");
  const rail = page.getByRole("navigation", { name: "Main" });
  await expect(rail.getByRole("listitem")).toHaveText([
    "Home",
    "Executions",
    "Approvals",
    "Dead letters",
    "Workflows",
    "More",
  ]);
  for (const word of await rail.getByRole("listitem").locator("span").all()) {
    await expect(word).toBeInViewport({ ratio: 1 });
  }
  await rail.getByRole("button", { name: "More" }).tap();
  const more = page.getByRole("dialog", { name: "More" });
  await clean(page);
  await more.getByRole("link", { name: "Queues", exact: true }).tap();
  await expect(page).toHaveURL(/\/queues$/);
  await expect(more).toBeHidden();
  await rail.getByRole("button", { name: "More" }).tap();
  await more.getByRole("button", { name: "Search or act" }).tap();
  await expect(page.getByRole("combobox", { name: "Search or act" })).toBeVisible();
});

test("executions are cards that a tap opens @S2-61", async ({ page }) => {
  await page.goto(`/executions?q=${encodeURIComponent(`id = "${seeded("saga")}"`)}`);
  const card = rows(page).first();
  await expect(card).toContainText("CardDeclined");
  for (const text of ["Failed", "trips", seeded("saga")]) {
    await expect(card.getByText(text, { exact: true })).toBeInViewport({ ratio: 1 });
  }
  expect(await beyond(page)).toEqual([]);
  await clean(page);
  await card.tap();
  await expect(page).toHaveURL(new RegExp(seeded("saga")));
});

async function preferring(page: Page, state: { actor?: string; namespace?: string }) {
  const kept = JSON.stringify({ state, version: 1 });
  await page.addInitScript((text) => localStorage.setItem("flowmesh.preferences", text), kept);
}

const PAGES = [
  ["home", "/", "Needs attention"],
  ["workflows", "/workflows", "nightly-reconciliation"],
  ["dead letters", "/dead-letters", "CardDeclined"],
  ["triggers", "/triggers", "settlement"],
  ["workers", "/workers", "Built-in executors"],
] as const;
for (const [name, path, text] of PAGES) {
  test(`a phone shows the whole width of the page: ${name} @S2-61`, async ({ page }) => {
    await page.goto(path);
    await expect(page.getByText(text).first()).toBeVisible();
    expect(await beyond(page)).toEqual([]);
    await clean(page);
  });
}

test("the home of an empty namespace breaks no rule of accessibility @S2-61", async ({ page }) => {
  await preferring(page, { namespace: "nothing-yet" });
  await page.goto("/");
  const guide = page.getByRole("group", { name: "Or on the command line:" });
  await expect(guide).toBeVisible();
  await guide.focus();
  await expect(guide).toBeFocused();
  expect(await beyond(page, "pre")).toEqual([]);
  await clean(page);
  await page.getByRole("link", { name: "Build a workflow" }).tap();
  await expect(page).toHaveURL(/\/workflows\/new$/);
});

test("an approval is opened, read and decided in three taps @S2-61", async ({ page, request }) => {
  const name = named("phone");
  const tasks = `[{id: grant, approval: {title: "Grant ${name}?"}}]`;
  await store(
    request,
    `apiVersion: workflow.io/v1\nkind: Workflow\nmetadata: {name: ${name}}\nspec: {tasks: ${tasks}}\n`,
  );
  const id = await start(request, name, {});
  await expect.poll(async () => (await request.get("/api/v1/approvals")).text()).toContain(id);
  await preferring(page, { actor: "ann" });
  await page.goto("/");
  await page.getByRole("link", { name: "Approvals" }).tap();
  const panel = page.getByRole("region", { name: "Decision" });
  const inbox = page.getByRole("navigation", { name: "Waiting approvals" });
  await expect(inbox).toBeVisible();
  await expect(panel).toBeHidden();
  await inbox.getByRole("button", { name: `Grant ${name}?` }).tap();
  await expect(panel.getByRole("heading", { name: `Grant ${name}?` })).toBeInViewport({ ratio: 1 });
  await expect(inbox).toBeHidden();
  expect(await beyond(page)).toEqual([]);
  await panel.getByRole("button", { name: "Approve" }).tap();
  await reached(request, id, "completed");
  // What is decided is left, and the next one is not shown in its place.
  await expect(panel).toBeHidden();
});
