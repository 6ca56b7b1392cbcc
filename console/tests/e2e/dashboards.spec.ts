import type { APIRequestContext } from "@playwright/test";
import { clean, expect, reached, SHOP, start, test } from "./fixtures";

test("the dashboard has the numbers of the server @S0-150 @S3-51", async ({ page, request }) => {
  await page.goto("/dashboards");
  const numbers = await (await request.get("/api/v1/dashboard")).json();
  const active = Object.values(numbers.active as Record<string, number>);
  const tile = page.getByText("Active executions").locator("..");
  const total = active.reduce((sum, each) => sum + each, 0);
  await expect(tile).toContainText(String(total));
  await expect(page.getByText("Success rate").first()).toBeVisible();
  const failures = page.getByRole("region", { name: "Top failures" });
  await expect(failures).toContainText("CardDeclined");
});

test("charts have a table of the same numbers @S0-155", async ({ page }) => {
  await page.goto("/dashboards?hours=1");
  const chart = page.getByRole("region", { name: "Executions by start" });
  await expect(chart.getByRole("img")).toBeVisible();
  await chart.getByRole("button", { name: "As a table" }).click();
  await expect(chart.getByRole("columnheader", { name: "Completed" })).toBeVisible();
  await expect(chart.getByRole("row").nth(1)).toBeVisible();
  await clean(page);
});

test("a failure leads to its executions @S1-117", async ({ page }) => {
  await page.goto("/dashboards");
  const failures = page.getByRole("region", { name: "Top failures" });
  const row = failures.getByRole("row").filter({ hasText: "CardDeclined" }).first();
  await row.getByRole("link").click();
  await expect(page.getByRole("heading", { name: "Executions", exact: true })).toBeVisible();
  // Other scenarios add and remove executions, so the number may differ by now.
  await expect(page).toHaveURL(/CardDeclined/);
  await expect(page.getByText(/\d+ executions?/).first()).toBeVisible();
});

test("the dashboard of a workflow names its bottlenecks and shows its grid @S0-155", async ({
  page,
  request,
}) => {
  const id = await start(request, "orders", SHOP.order);
  await reached(request, id, "completed");
  await page.goto("/dashboards");
  await page.getByRole("link", { name: "orders", exact: true }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Dashboard of orders");
  const costs = page.getByRole("region", { name: "Bottlenecks" });
  const report = await (await request.get("/api/v1/workflows/orders/bottlenecks")).json();
  const [costliest] = report.nodes;
  await expect(costs.getByRole("row").nth(1)).toContainText(costliest.id);
  await expect(page.getByRole("group", { name: "Grid" })).toBeVisible();
});

/** Ended executions as a monitoring system scrapes them. */
async function scraped(request: APIRequestContext): Promise<number> {
  const text = await (await request.get("/metrics")).text();
  const found = text.matchAll(/^flowmesh_execution_seconds_count(?:\{[^}]*\})? (\S+)/gm);
  return [...found].reduce((sum, each) => sum + Number(each[1]), 0);
}

test("the dashboard and a scrape of the metrics count the same execution @S2-52 @S1-117", async ({
  page,
  request,
}) => {
  const before = await scraped(request);
  const { workflows } = await (await request.get("/api/v1/dashboard")).json();
  const known = workflows.find((each: { workflow: string }) => each.workflow === "hello");
  await page.goto("/dashboards");
  const row = page.getByRole("row").filter({ has: page.getByRole("link", { name: "hello" }) });
  const id = await start(request, "hello", SHOP.order);
  await reached(request, id, "completed");
  await expect.poll(() => scraped(request)).toBeGreaterThan(before);
  await expect
    .poll(async () => Number(await row.getByRole("cell").nth(2).textContent()))
    .toBeGreaterThan(known?.completed ?? 0);
});
