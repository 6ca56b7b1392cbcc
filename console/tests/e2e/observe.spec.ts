import { clean, expect, reached, SHOP, seeded, start, test } from "./fixtures";

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

test("a request is one picture of the call, the execution and its workers @S1-196", async ({
  page,
  request,
}) => {
  const id = await start(request, "orders", SHOP.order);
  await reached(request, id, "completed");
  const found = page.getByRole("region", { name: "Request", exact: true });
  await expect(async () => {
    await page.goto(`/executions/${id}`);
    await page.getByRole("link", { name: "Request", exact: true }).click();
    await expect(page).toHaveURL(new RegExp(`/observe\\?.*execution=${id}`));
    await expect(found).toContainText("POST /api/v1/workflows/{name}/start", { timeout: 3_000 });
  }).toPass();
  await expect(found.getByRole("link", { name: "orders" })).toBeVisible();
  await expect(found.getByRole("link", { name: "charge" })).toBeVisible();
  await expect(found.locator("[data-kind=attempt]")).toHaveCount(9);
  await page.goto(`/observe?execution=${seeded("failed")}`);
  const charge = found.getByRole("row").filter({ hasText: "charge" });
  const bar = charge.locator("[data-family=failed]");
  await expect(bar).not.toHaveCSS("background-color", "rgba(0, 0, 0, 0)");
  await clean(page);
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

test("one click answers which customer's orders are late @S1-196", async ({ page, request }) => {
  const id = await start(request, "orders", SHOP.order);
  await reached(request, id, "completed");
  await page.goto("/observe?hours=1&workflow=orders");
  await page.getByLabel("Slower than").fill("1ms");
  const late = page.getByRole("region", { name: "Slower executions by" }).last();
  await late.getByRole("row").nth(1).getByRole("link").click();
  await expect(page).toHaveURL(/\/executions\?.*duration.*input\.customer\.name/);
  await expect(page.getByRole("link", { name: /exec|orders/ }).first()).toBeVisible();
});

test("one click shows what changed in the hour before @S1-196", async ({ page }) => {
  await page.goto("/observe?hours=168&workflow=orders");
  const changes = page.getByRole("region", { name: "Changes and alerts" });
  const version = changes.getByRole("row").filter({ hasText: "orders v1" });
  await version.getByRole("link", { name: "The hour before" }).click();
  await expect(page).toHaveURL(/from=.*to=/);
  await expect(version).toBeVisible();
});

test("one click answers what the database and the workers do @S1-196", async ({ page }) => {
  await page.goto("/observe?hours=1");
  const measured = page.getByRole("combobox", { name: "Measured" });
  await measured.selectOption("database");
  await expect(page.getByRole("heading", { name: "Commits of the database" })).toBeVisible();
  await measured.selectOption("workers");
  await expect(
    page.getByRole("heading", { name: "Tasks that wait for workers of all queues" }),
  ).toBeVisible();
  await expect(page).toHaveURL(/by=workers/);
});
