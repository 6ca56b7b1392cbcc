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

test("a stored objective is listed with its budget @S1-196", async ({ page, request }) => {
  const id = await start(request, "orders", SHOP.order);
  await reached(request, id, "completed");
  await page.goto("/observe?hours=1&workflow=orders");
  const objective = page.getByRole("region", { name: "Objective", exact: true });
  await objective.getByLabel("Target in percent").fill("75");
  await objective.getByRole("button", { name: "Store" }).click();
  const stored = objective.getByRole("region", { name: "Stored objectives" });
  await expect(stored.getByRole("row").filter({ hasText: "orders" })).toContainText("75 %");
  await page.goto("/observe?hours=1");
  await stored.getByRole("button", { name: "orders" }).click();
  await expect(page).toHaveURL(/workflow=orders/);
});
