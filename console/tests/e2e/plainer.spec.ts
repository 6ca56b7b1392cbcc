/** Lists, graphs and menus say what they show in the words of the reader. */

import { add, blank, findings, named, ORDER, palette, stage, store, task } from "./builder";
import { clean, expect, expecting, reached, rows, SHOP, seeded, start, test } from "./fixtures";

test("an execution on hold is listed as on hold, and as running again after a retry @S1-117", async ({
  page,
  request,
}) => {
  const id = await start(request, "held-orders", SHOP.declined);
  const only = encodeURIComponent(`id = "${id}"`);
  await page.goto(`/executions?q=${only}`);
  await expect(rows(page).first()).toContainText("On hold");
  await clean(page);
  const answer = await request.get(`/api/v1/executions?filter=${only}&include=search`);
  expect((await answer.json()).executions[0]).toMatchObject({
    status: "running",
    search: { needs: "hold" },
  });
  const by = { output: {}, reason: "paid in cash" };
  await request.post(`/api/v1/executions/${id}/nodes/charge:complete`, { data: by });
  await reached(request, id, "completed");
  await expect(rows(page).first()).toContainText("Completed");
});

test("the menu has groups, folds by a button, and leaves editors the room @S1-107", async ({
  page,
}) => {
  await page.goto("/");
  const menu = page.getByRole("navigation", { name: "Main" });
  const word = menu.getByText("Workers", { exact: true });
  await expect(menu.getByText("Operate", { exact: true })).toBeVisible();
  await menu.getByRole("button", { name: "Fold the menu" }).click();
  await expect(word).toBeHidden();
  await expect(menu.getByRole("link", { name: "Workers" })).toBeVisible();
  await clean(page);
  await page.reload();
  await expect(page.getByRole("heading", { level: 1, name: "Home" })).toBeVisible();
  await expect(word).toBeHidden();
  await menu.getByRole("button", { name: "Unfold the menu" }).click();
  await expect(word).toBeVisible();
  await blank(page);
  await expect(word).toBeHidden();
  await menu.getByRole("button", { name: "Unfold the menu" }).click();
  await expect(word).toBeVisible();
});

test("counts over time are bars on each other, with their values under the pointer @S1-117", async ({
  page,
}) => {
  await page.goto("/dashboards?hours=1");
  const chart = page.getByRole("region", { name: "Executions by start" });
  const image = chart.getByRole("img");
  await expect(image).toBeVisible();
  const values = chart.locator(".u-value");
  await expect(values.first()).toBeHidden();
  await image.hover();
  await expect(values.nth(1)).toBeVisible();
  // Each colour of a status fills more than a line would.
  const filled = await chart.locator("canvas").evaluate((element) => {
    const canvas = element as HTMLCanvasElement;
    const data = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data;
    let coloured = 0;
    for (let at = 0; at < (data?.length ?? 0); at += 4) {
      const [red = 0, green = 0, blue = 0, alpha = 0] = data?.slice(at, at + 4) ?? [];
      if (alpha > 200 && Math.max(red, green, blue) - Math.min(red, green, blue) > 60) {
        coloured += 1;
      }
    }
    return coloured;
  });
  expect(filled).toBeGreaterThan(100);
});

test("workflows are in an order, with bars that lead to their runs @S0-08", async ({ page }) => {
  await page.goto("/workflows");
  await page.getByRole("combobox", { name: "Order" }).selectOption("Most runs");
  await expect(page).toHaveURL(/order=runs/);
  const numbers = async () =>
    (await page.locator('td[data-head="7 days"]').allTextContents()).map((text) =>
      Number(text.replaceAll(",", "")),
    );
  await expect
    .poll(async () => {
      const shown = await numbers();
      return shown.length > 5 && shown.every((each, at) => each <= (shown[at - 1] ?? each));
    })
    .toBe(true);
  const row = page.getByRole("row").filter({ has: page.getByRole("link", { name: "trips" }) });
  await row.getByRole("button", { name: /last (\d+ )?executions?:.*failed/i }).click();
  await page.getByRole("menuitem", { name: /exec-/ }).first().click();
  await expect(page).toHaveURL(/\/executions\/exec-/);
});

test("a trigger says its schedule in words, and its workflow the next run @S2-61", async ({
  page,
}) => {
  await page.goto("/triggers");
  await expect(page.getByRole("row", { name: /^nightly/ })).toContainText("every day at 02:00");
  await page.goto("/workflows?q=settlement");
  const next = page.locator('td[data-head="Next run"]').first();
  await expect(next).toContainText(/^in \d+/);
});

test("warnings are folded below the canvas, and choices are words @S0-133", async ({
  page,
  request,
}) => {
  const name = named("plain");
  const source = ORDER(name).replace("taskRef: noop\n", "taskRef: shop-quick\n");
  await store(request, source);
  await page.goto(`/workflows/${name}/edit`);
  const warning = findings(page)
    .getByRole("button", { name: /has no timeout/ })
    .first();
  await expect(findings(page)).toContainText(/\d+ finding/);
  await expect(warning).toBeHidden();
  await findings(page).getByRole("button", { name: "Show" }).click();
  await expect(warning).toBeVisible();
  await task(page, "reserve").click();
  await page.getByText("More properties").click();
  const choice = page.getByRole("combobox", { name: /^On Failure/ });
  await expect(choice.getByRole("option", { name: /Wait until a person decides/ })).toBeAttached();
});

test("drafts are offered on the list of workflows @S0-08", async ({ page }) => {
  await blank(page);
  await add(page, "delay");
  await expect(task(page, "delay")).toBeVisible();
  await expect(page.getByTestId("save-state")).toHaveText("Draft kept here");
  await page.goto("/workflows");
  const drafts = page.getByRole("region", { name: "Drafts" });
  await drafts.getByRole("button").first().click();
  await expect(task(page, "delay")).toBeVisible();
  await expect(palette(page)).toBeVisible();
  await expect(stage(page)).toBeVisible();
});

test("children are shown with theirs below, and how long each took @S0-103", async ({ page }) => {
  await page.goto(`/executions/${seeded("nested")}?tab=children`);
  const tree = page.getByRole("list", { name: "Children", exact: true });
  const below = tree.getByRole("list", { name: /^Children of exec-/ });
  await expect(below.getByRole("listitem")).toHaveCount(1);
  await expect(below.getByRole("listitem")).toContainText(/orders.*\d m?s/);
  await clean(page);
});

test("a retry begins with the input as it was, and asks for a reason @S0-101", async ({
  page,
  request,
}) => {
  const id = await start(request, "held-orders", SHOP.declined);
  await expect
    .poll(async () => (await request.get(`/api/v1/executions/${id}/explain`)).text())
    .toContain("ON_HOLD");
  await page.goto(`/executions/${id}?node=charge`);
  const panel = page.getByRole("complementary", { name: "Task charge" });
  await expect(panel).toContainText("declined");
  await panel.getByRole("button", { name: "Retry" }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog.getByLabel(/^Input \(JSON\)/)).toHaveValue(/"card": "declined"/);
  await expect(dialog.getByLabel("Reason")).toHaveAccessibleDescription(/^Required/);
  await dialog.getByLabel(/^Input \(JSON\)/).fill('{"order": "o-3", "amount": 7}');
  await dialog.getByLabel("Reason").fill("another card");
  await dialog.getByRole("button", { name: "Retry" }).click();
  await reached(request, id, "completed");
});

test("a definition is drawn as one, not as a run that waits @S0-08", async ({ page, request }) => {
  // The statistics of a workflow that has never run are not there.
  expecting("404");
  const name = named("drawn");
  await store(request, ORDER(name));
  await page.goto(`/workflows/${name}`);
  const tree = page.getByRole("tree", { name: "Tasks of the graph" });
  await expect(tree.getByRole("treeitem").first()).toBeVisible();
  await expect(tree.locator('[data-glyph="dots"]')).toHaveCount(0);
  await expect(tree.getByRole("treeitem").first().locator("svg")).toHaveCount(1);
});
