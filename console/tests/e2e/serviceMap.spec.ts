import { clean, expect, reached, SHOP, start, test } from "./fixtures";

test("the map of services is a picture whose edges lead to series @S1-196", async ({
  page,
  request,
}) => {
  const id = await start(request, "orders", SHOP.order);
  await reached(request, id, "completed");
  const picture = page.getByRole("group", {
    name: "Map of services, workers, queues and applications",
  });
  const edge = picture.getByRole("link", { name: /^Series of gateway to ExecutionService: / });
  await expect(async () => {
    await page.goto("/observe?hours=1&ask=map");
    await expect(edge).toBeVisible({ timeout: 3_000 });
    await expect(
      picture.getByRole("link", { name: /^Series of orchestrator to / }).first(),
    ).toBeVisible({ timeout: 1_000 });
  }).toPass();
  await expect(edge).toHaveText(/\/(s|min|h)/);
  await clean(page);
  const table = page.getByRole("region", {
    name: "Calls between services, workers, queues and applications",
  });
  await expect(table.getByRole("row").filter({ hasText: "attempts" }).first()).toBeVisible();
  await edge.click();
  await expect(page.getByText("Only service=ExecutionService")).toBeVisible();
  const calls = page.getByRole("region", { name: "Calls of services", exact: true });
  await calls.getByRole("button", { name: "As a table" }).click();
  await expect(calls.getByRole("columnheader")).toHaveText(["Time", "ExecutionService"]);
  await page.getByRole("button", { name: "Show all" }).click();
  await expect(page).not.toHaveURL(/only=/);
  await expect(calls.getByRole("columnheader")).not.toHaveCount(2);
});

test("an application on the map leads to its page and to its routes @S1-196", async ({ page }) => {
  await page.route(/\/api\/v1\/observe\/map/, (route) =>
    route.fulfill({
      json: {
        services: [],
        calls: [
          {
            kind: "application",
            service: "shop",
            namespace: "default",
            calls: 7_200,
            errors: 72,
            meanMs: 8,
            p95Ms: 20,
          },
        ],
        truncated: false,
      },
    }),
  );
  await page.goto("/observe?hours=1&ask=map");
  const edge = page.getByRole("link", { name: /^Series of clients to shop: / });
  await expect(edge).toHaveText(/^2\/s · 1\s?% failed · 20 ms$/);
  await clean(page);
  await edge.click();
  await expect(page.getByText("Only app=shop, namespace=default")).toBeVisible();
  await page.getByRole("link", { name: "shop", exact: true }).click();
  await expect(page).toHaveURL(/\/apps\/shop$/);
});
