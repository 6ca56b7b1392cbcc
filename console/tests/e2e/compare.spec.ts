import { clean, expect, expecting, reached, SHOP, seeded, start, test } from "./fixtures";

test("two executions are compared on one graph, at their first difference @S0-102", async ({
  page,
  request,
}) => {
  const [left, right] = [seeded("completed"), seeded("failed")];
  const answer = await request.get(`/api/v1/executions/${left}/compare/${right}`);
  const comparison = await answer.json();
  await page.goto(`/executions/compare?left=${left}&right=${right}`);
  await expect(page.getByTestId("verdict")).toContainText(comparison.firstDivergence.text);
  const words = { success: "Completed", failed: "Failed", skipped: "Skipped" } as const;
  for (const node of comparison.nodes) {
    const word = (side: { status: keyof typeof words } | undefined) =>
      side ? words[side.status] : "Pending";
    const item = page.getByRole("treeitem", {
      name: new RegExp(`^${node.id}, left ${word(node.left)}, right ${word(node.right)}`),
    });
    await expect(item).toHaveCount(1);
  }
  await page.getByRole("treeitem", { name: /^charge,/ }).click();
  const difference = page.getByTestId("difference");
  await expect(difference).toHaveAttribute("data-node", "charge");
  await expect(difference).toContainText("CardDeclined");
  await expect(page.getByRole("complementary", { name: "Differences" })).toContainText("card");
  expect(new URL(page.url()).searchParams.get("node")).toBe("charge");
});

test("two that went the same way say so @S0-102", async ({ page, request }) => {
  const ids = [await start(request, "hello", { a: 1 }), await start(request, "hello", { a: 1 })];
  for (const id of ids) await reached(request, id, "completed");
  await page.goto(`/executions/compare?left=${ids[0]}&right=${ids[1]}`);
  await expect(page.getByTestId("verdict")).toContainText("the same path with the same values");
});

test("the other one is chosen among the last of the workflow @S0-102", async ({ page }) => {
  await page.goto(`/executions/${seeded("failed")}`);
  await page.getByRole("button", { name: "All actions" }).click();
  await page.getByRole("menuitem", { name: "Compare with another execution" }).click();
  const other = page.getByRole("listitem").filter({ hasText: seeded("completed") });
  await other.getByRole("button", { name: "Compare with this one" }).click();
  await expect(page.getByTestId("verdict")).toBeVisible();
  await page.getByRole("button", { name: "Swap sides" }).click();
  const left = page.getByRole("row", { name: /^Left/ });
  await expect(left).toContainText(seeded("completed"));
});

test("an execution that does not exist cannot be compared, in words", async ({ page }) => {
  expecting("404");
  await page.goto(`/executions/compare?left=${seeded("completed")}&right=exec-nothing`);
  await expect(page.getByRole("alert")).toContainText("exec-nothing");
  await page.getByRole("main").getByRole("button", { name: "Choose another" }).last().click();
  await expect(page.getByLabel("Execution on the right")).toBeVisible();
});

test("the page has no violation of WCAG: compare @S0-102", async ({ page, request }) => {
  const right = await start(request, "orders", SHOP.declined);
  await reached(request, right, "failed");
  await page.goto(`/executions/compare?left=${seeded("completed")}&right=${right}`);
  await expect(page.getByTestId("difference")).toBeVisible();
  await expect(page.getByRole("status", { name: "Loading" })).toHaveCount(0);
  await clean(page);
  await page.goto(`/executions/compare?left=${right}`);
  await expect(page.getByRole("button", { name: "Compare with this one" }).first()).toBeVisible();
  await clean(page);
});
