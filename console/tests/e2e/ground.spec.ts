import { clean, expect, seeded, test } from "./fixtures";

test("the list shows executions of every status @S0-132 @S0-148", async ({ page }) => {
  await page.goto("/executions");
  const rows = page.getByTestId("executions").getByRole("row");
  await expect(rows.filter({ hasText: "Failed" }).first()).toBeVisible();
  await expect(rows.filter({ hasText: "Paused" }).first()).toBeVisible();
  await expect(rows.filter({ hasText: seeded("stuck") })).toContainText("imports");
  await expect(page.getByRole("status").filter({ hasText: "Live" })).toBeVisible();
});

test("an execution opens with its cause, graph and history @S0-05", async ({ page }) => {
  await page.goto(`/console/executions/${seeded("failed")}`);
  await expect(page.getByTestId("cause")).toContainText(
    "failed with CardDeclined: the bank declined the card ending in 4242",
  );
  await expect(page.getByRole("treeitem", { name: /^charge, Failed/ })).toBeVisible();
  await page.getByRole("tab", { name: "History" }).click();
  await expect(page.getByRole("listitem").filter({ hasText: "Workflow failed" })).toBeVisible();
  expect(new URL(page.url()).searchParams.get("tab")).toBe("history");
});

test("a new execution appears without a reload @S0-97", async ({ page, request }) => {
  await page.goto("/executions");
  await expect(page.getByRole("status").filter({ hasText: "Live" })).toBeVisible();
  const started = await request.post("/api/v1/workflows/hello/start", { data: { input: {} } });
  const { executionId } = await started.json();
  const row = page.getByTestId("executions").getByRole("row").filter({ hasText: executionId });
  await expect(row).toContainText("Completed");
});

test("the pages of the ground have no violation of WCAG", async ({ page }) => {
  for (const path of ["/", "/executions", "/settings", `/executions/${seeded("failed")}`]) {
    await page.goto(path);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await expect(page.getByRole("status", { name: "Loading" })).toHaveCount(0);
    await clean(page);
  }
});
