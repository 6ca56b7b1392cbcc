import { clean, expect, reached, SHOP, start, test } from "./fixtures";

test("charts, executions and records share one time @S1-196", async ({ page, request }) => {
  const id = await start(request, "orders", SHOP.order);
  await reached(request, id, "completed");
  await page.goto("/observe?hours=1");
  const rates = page.getByRole("region", { name: "Executions by status" });
  await expect(rates.getByRole("img")).toBeVisible();
  await expect(page.getByRole("region", { name: "Durations of executions" })).toBeVisible();
  const slowest = page.getByRole("region", { name: "Slowest of the latest 200 executions" });
  await expect(slowest.getByRole("row").nth(1)).toBeVisible();
  await slowest
    .getByRole("link", { name: /^Log records of/ })
    .first()
    .click();
  await expect(page.getByRole("textbox", { name: "Filter of log records" })).toHaveValue(
    /^execution = /,
  );
  await clean(page);
});

test("dragging over a chart narrows the time, and a link leads back @S1-196", async ({
  page,
  request,
}) => {
  const id = await start(request, "orders", SHOP.order);
  await reached(request, id, "completed");
  await page.goto("/observe?hours=1");
  const plot = page.getByRole("region", { name: "Executions by status" }).locator(".u-over");
  await plot.scrollIntoViewIfNeeded();
  const box = await plot.boundingBox();
  if (!box) throw new Error("the chart has no area");
  await page.mouse.move(box.x + box.width * 0.6, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.95, box.y + box.height / 2, { steps: 5 });
  await page.mouse.up();
  await expect(page).toHaveURL(/from=/);
  await page.getByRole("link", { name: "Back to now" }).click();
  await expect(page).not.toHaveURL(/from=/);
});

test("one click answers which version failed, and how last week was @S1-196", async ({ page }) => {
  await page.goto("/observe?hours=168");
  const versions = page.getByRole("region", { name: "Failures by version" });
  await versions.getByRole("row").nth(1).getByRole("link").click();
  await expect(page).toHaveURL(/\/executions\?.*version/);
  await page.goto("/observe?hours=6");
  await page.getByRole("link", { name: "The same time a week before" }).click();
  await expect(page).toHaveURL(/from=.*to=/);
});

test("the objective of a workflow has its budget and burn rate @S1-196", async ({
  page,
  request,
}) => {
  const id = await start(request, "orders", SHOP.order);
  await reached(request, id, "completed");
  await page.goto("/observe?hours=1&workflow=orders");
  const objective = page.getByRole("region", { name: "Objective" });
  await expect(objective).toContainText("Budget left");
  const path = "/api/v1/observe/slos/orders?target=50&windowS=86400";
  const { burnRate } = await (await request.get(path)).json();
  await objective.getByLabel("Window in days").fill("1");
  await objective.getByLabel("Target in percent").fill("50");
  await expect(objective).toContainText(burnRate.toFixed(2));
});

test("slow and failed calls lead to their trace @S1-196", async ({ page, request }) => {
  await request.get("/api/v1/executions/exec-missing");
  const calls = page.getByRole("region", { name: "Slow and failed calls" });
  await expect(async () => {
    await page.goto("/observe?hours=1");
    await expect(calls).toContainText("NOT_FOUND", { timeout: 2_000 });
  }).toPass();
  const row = calls.getByRole("row").filter({ hasText: "NOT_FOUND" }).first();
  await row.getByRole("cell").last().getByRole("link").click();
  await expect(page).toHaveURL(/trace=/);
  await expect(calls.getByRole("row").nth(1)).toContainText("NOT_FOUND");
});
