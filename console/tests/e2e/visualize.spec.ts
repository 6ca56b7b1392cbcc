import { clean, expect, expecting, SHOP, seeded, start, test } from "./fixtures";

test("five visualisations are in one place @S0-160", async ({ page }) => {
  await page.goto("/visualization");
  await expect(page).toHaveURL(/\/visualization\/topology/);
  const views = page.getByRole("navigation", { name: "Visualize" });
  for (const name of ["Grid", "Galaxy", "Topology"]) {
    await views.getByRole("link", { name, exact: true }).click();
    await expect(page.getByRole("heading", { name, level: 1 })).toBeVisible();
    await expect(views.getByRole("link", { name, exact: true })).toHaveAttribute("aria-current");
  }
  await expect(views.getByRole("link", { name: "Timeline" })).toBeVisible();
  await views.getByRole("link", { name: "Graph" }).click();
  await expect(page.getByRole("tab", { name: "Graph" })).toHaveAttribute("aria-selected", "true");
});

test("the grid shows what each task did in each execution @S0-160", async ({ page, request }) => {
  await page.goto("/visualization/grid?workflow=orders");
  const grid = page.getByRole("group", { name: "Grid" });
  const answer = await (await request.get("/api/v1/workflows/orders/grid")).json();
  await expect(grid.getByRole("rowheader")).toHaveText(answer.tasks);
  const failed = answer.executions.find(
    (each: { executionId: string }) => each.executionId === seeded("failed"),
  );
  expect(failed.tasks.charge.status).toBe("failed");
  const cell = grid.locator(`a[href*="${seeded("failed")}"][aria-label^="charge: Failed"]`);
  await cell.click();
  await expect(page).toHaveURL(/node=charge/);
});

test("arrow keys move in the grid @S0-160", async ({ page }) => {
  await page.goto("/visualization/grid?workflow=orders");
  const cells = page.getByRole("group", { name: "Grid" }).locator("tbody a");
  await cells.first().focus();
  const name = await cells.first().getAttribute("aria-label");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowRight");
  await expect(page.locator(":focus")).not.toHaveAttribute("aria-label", name ?? "");
  await expect(page.locator("tbody a[tabindex='0']")).toHaveCount(1);
});

test("the grid takes up new executions by itself @S0-160", async ({ page, request }) => {
  await page.goto("/visualization/grid?workflow=hello");
  const grid = page.getByRole("group", { name: "Grid" });
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  const id = await start(request, "hello", SHOP.order);
  await expect(grid.locator(`a[href*="${id}"]`).first()).toBeVisible();
});

test("the topology shows who calls what @S0-160", async ({ page }) => {
  await page.goto("/visualization/topology");
  const picture = page.getByRole("group", { name: "Topology" });
  await expect(picture.getByRole("link", { name: /orchestrator/ })).toContainText("Healthy");
  await picture.getByRole("button", { name: "https://bank.example" }).click();
  await expect(picture.getByRole("button", { name: "settlement", exact: true })).toBeVisible();
  await expect(picture.getByRole("button", { name: "storefront" })).toHaveCount(0);
  const called = page.getByRole("region", { name: "Called services" });
  await expect(called.getByRole("row").filter({ hasText: "bank.example" })).toContainText(
    "settlement",
  );
  await clean(page);
});

test("the topology shows real calls with rates, errors and latency @S0-160", async ({
  page,
  request,
}) => {
  const counted = async () => {
    const { edges } = await (await request.get("/api/v1/topology")).json();
    return edges.find((each: { target: string }) => each.target === "price-list")?.errors ?? 0;
  };
  await expect.poll(counted).toBeGreaterThan(0);
  await page.goto("/visualization/topology");
  const picture = page.getByRole("group", { name: "Topology" });
  await expect(picture.getByText(/^[\d.]+\/min, \d+ errors$/).first()).toBeVisible();
  await expect(picture.getByRole("button", { name: "storefront" })).toBeVisible();
  const calls = page.getByRole("region", { name: "Calls of the last 15 minutes" });
  const row = calls.getByRole("row").filter({ hasText: "price-list" });
  await expect(row).toContainText("storefront");
  await expect(row).toContainText(/\d+ \(\d+(\.\d)?%\)/);
  await expect(row.getByRole("cell").nth(5)).toHaveText(/\d+(\.\d)? m?s/);
});

test("without WebGL the galaxy says so and draws the topology @S0-135", async ({ page }) => {
  await page.addInitScript(() => {
    const original = HTMLCanvasElement.prototype.getContext;
    HTMLCanvasElement.prototype.getContext = function (
      this: HTMLCanvasElement,
      kind: string,
      ...rest: unknown[]
    ) {
      if (kind.startsWith("webgl")) return null;
      return Reflect.apply(original, this, [kind, ...rest]);
    } as typeof original;
  });
  expecting("THREE.WebGLRenderer");
  await page.goto("/visualization/galaxy");
  await expect(page.getByText("This browser has no WebGL")).toBeVisible();
  await expect(page.getByRole("group", { name: "Topology" })).toBeVisible();
});
