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

test("the page says since when signals are not kept @S1-196", async ({ page }) => {
  let notKeptSince: string | undefined = new Date(Date.now() - 300_000).toISOString();
  await page.route(/\/api\/v1\/observe\/logs\?pageSize=1$/, (route) =>
    route.fulfill({ json: { logs: [], notKeptSince } }),
  );
  await page.goto("/observe?hours=1");
  const notice = page.getByText(/^Signals are not kept/);
  await expect(notice).toContainText("5 m");
  notKeptSince = undefined;
  await expect(notice).toHaveCount(0, { timeout: 20_000 });
});

const TAILED_MS = 8_000;
const PER_SECOND = 1_000;
const FRAME_MS = 50;

/** Records of a store that gets a thousand a second, after a position, the oldest first. */
function records(after: number, until: number) {
  return Array.from({ length: Math.min(1_000, until - after) }, (_, index) => ({
    at: new Date().toISOString(),
    level: "info",
    service: "gateway",
    instanceId: "gateway-1",
    event: `event-${after + index + 1}`,
    fields: { route: "/api/v1/executions", number: after + index + 1, note: "x".repeat(80) },
    position: after + index + 1,
  }));
}

test("a tail of 1,000 records a second needs no frame of 50 ms @S1-196", async ({
  page,
  browser,
}) => {
  const begun = Date.now();
  let sent = 0;
  await page.route(/\/api\/v1\/observe\/logs/, async (route) => {
    const asked = new URL(route.request().url()).searchParams.get("after");
    const until = 100 + Math.floor(((Date.now() - begun) * PER_SECOND) / 1_000);
    const logs = asked ? records(Number(asked), until) : records(0, 100).toReversed();
    sent = Math.max(sent, asked ? Number(asked) + logs.length : 100);
    await route.fulfill({ json: { logs } });
  });
  await page.goto("/observe?hours=1");
  await page.getByRole("button", { name: "Live tail" }).click();
  const tail = page.getByRole("log", { name: "Live tail" });
  await expect(tail).toContainText("event-");
  await browser.startTracing(page, { categories: ["toplevel", "__metadata"] });
  const first = sent;
  await expect
    .poll(() => sent, { timeout: 60_000 })
    .toBeGreaterThan(first + (TAILED_MS * PER_SECOND) / 1_000);
  const trace = JSON.parse((await browser.stopTracing()).toString()) as { traceEvents: Event[] };
  const main = trace.traceEvents.find(({ args }) => args?.name === "CrRendererMain");
  // Time of the processor, which other programs of the machine do not lengthen.
  const longest = trace.traceEvents
    .filter((each) => each.tid === main?.tid && each.pid === main?.pid)
    .reduce((most, { tdur = 0 }) => Math.max(most, tdur / 1_000), 0);
  test.info().annotations.push({ type: "longest task in ms", description: longest.toFixed(1) });
  expect(longest).toBeGreaterThan(0);
  expect(longest).toBeLessThan(FRAME_MS);
  await expect(tail).toContainText(/event-\d{4}/);
  await expect(tail.getByText(/event-/).nth(10)).toBeVisible();
});

interface Event {
  pid: number;
  tid: number;
  args?: { name?: string };
  tdur?: number;
}
