import { clean, expect, reached, SHOP, start, test } from "./fixtures";

const DOCUMENT = `
name: drawn
title: Drawn calls
hours: 1
panels:
  - title: Calls per second
    unit: per-second
    series:
      - {metric: flowmesh_rpc_total, by: service, where: [code=OK]}
  - title: Calls of the hour
    kind: number
    series:
      - {metric: flowmesh_rpc_total}
  - title: p95 of services
    kind: table
    unit: seconds
    series:
      - {metric: flowmesh_rpc_seconds_bucket, by: service, quantile: 0.95}
`;

test("a saved dashboard is listed and drawn on one axis of time @S1-196", async ({
  page,
  request,
}) => {
  const id = await start(request, "orders", SHOP.order);
  await reached(request, id, "completed");
  const headers = { "content-type": "application/yaml" };
  const path = "/api/v1/observe/dashboards/drawn";
  const saved = await request.put(path, { data: DOCUMENT, headers });
  expect(saved.ok(), await saved.text()).toBe(true);
  await page.goto("/observe");
  await page.getByRole("link", { name: "Saved dashboards" }).click();
  await page.getByRole("link", { name: "Drawn calls" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Drawn calls" })).toBeVisible();
  const table = page.getByRole("region", { name: "p95 of services" });
  await expect(async () => {
    await page.reload();
    await expect(table.getByRole("row").filter({ hasText: "ExecutionService" })).toBeVisible({
      timeout: 3_000,
    });
  }).toPass();
  const number = page.getByRole("region", { name: "Calls of the hour" });
  await expect(number.getByText(/^[1-9][\d,]*$/)).toBeVisible();
  const chart = page.getByRole("region", { name: "Calls per second" });
  await expect(chart.getByRole("img")).toBeVisible();
  await chart.getByRole("button", { name: "As a table" }).click();
  await expect(chart.getByRole("columnheader", { name: "ExecutionService" })).toBeVisible();
  await expect(chart.getByRole("cell").filter({ hasText: "/s" }).first()).toBeVisible();
  await clean(page);
  await page.getByRole("combobox", { name: "Range of time" }).selectOption("24");
  await expect(page).toHaveURL(/hours=24/);
  expect((await request.delete(path)).ok()).toBe(true);
});
