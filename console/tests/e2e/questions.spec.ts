import { clean, expect, reached, SHOP, seeded, start, test } from "./fixtures";

test("one click answers why a workflow is slow since a time @S1-196", async ({ page, request }) => {
  const id = await start(request, "orders", SHOP.order);
  await reached(request, id, "completed");
  const since = new Date(Date.now() - 3_600_000).toISOString();
  await page.goto(`/observe?workflow=orders&from=${since}`);
  await page.getByRole("button", { name: "Why is orders slow?" }).click();
  const answer = page.getByRole("region", { name: "Questions" });
  await expect(answer).toContainText(/orders takes [\d,.]+ m?s in the median of \d+ executions/);
  const parts = answer.getByRole("region", { name: "This time, and the same length" });
  await expect(parts.getByRole("row").filter({ hasText: "charge" }).first()).toContainText("ms");
  await clean(page);
});

test("one click answers which worker is sick @S1-196", async ({ page }) => {
  await page.goto("/observe?hours=1");
  await page.getByRole("button", { name: "Which worker is sick?" }).click();
  const answer = page.getByRole("region", { name: "Questions" });
  await expect(answer).toContainText(/attached workers is sick|is sick:/);
  const workers = answer.getByRole("region", { name: "Workers beside their peers" });
  await expect(workers.getByRole("row").filter({ hasText: "yes" }).first()).toBeVisible();
  await expect(page).toHaveURL(/ask=workers/);
});

test("one click answers who uses a queue @S1-196", async ({ page, request }) => {
  const made = await request.put("/api/v1/message-queues/asked", { data: {} });
  expect(made.ok(), await made.text()).toBe(true);
  const exchange = await request.put("/api/v1/exchanges/asks", { data: { type: "topic" } });
  expect(exchange.ok(), await exchange.text()).toBe(true);
  const binding = { queue: "asked", key: "order.*" };
  const bound = await request.post("/api/v1/exchanges/asks:bind", { data: binding });
  expect(bound.ok(), await bound.text()).toBe(true);
  await page.goto("/observe?hours=1");
  await page.getByRole("combobox", { name: "Who uses the queue …" }).selectOption("queue:asked");
  const answer = page.getByRole("region", { name: "Questions" });
  await expect(answer).toContainText("messages/s from asks");
  const users = answer.getByRole("region", { name: "Users of the queue" });
  await expect(users.getByRole("row").nth(1)).toContainText("order.*");
  await request.delete("/api/v1/exchanges/asks");
  await request.delete("/api/v1/message-queues/asked");
});

test("one click shows how the services call each other @S1-196", async ({ page, request }) => {
  const id = await start(request, "orders", SHOP.order);
  await reached(request, id, "completed");
  const pairs = page.getByRole("region", {
    name: "Calls between services, workers, queues and applications",
  });
  await expect(async () => {
    await page.goto("/observe?hours=1");
    await page.getByRole("button", { name: "How do the services call each other?" }).click();
    const start = pairs.getByRole("row").filter({ hasText: "gateway" });
    await expect(start.filter({ hasText: "ExecutionService" }).first()).toBeVisible({
      timeout: 3_000,
    });
  }).toPass();
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
  const objective = page.getByRole("region", { name: "Objective", exact: true });
  await expect(objective).toContainText("Budget left");
  const path = "/api/v1/observe/slos/orders?target=50&windowS=86400";
  const { burnRate } = await (await request.get(path)).json();
  await objective.getByLabel("Window in days").fill("1");
  await objective.getByLabel("Target in percent").fill("50");
  await expect(objective).toContainText(burnRate.toFixed(2));
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
