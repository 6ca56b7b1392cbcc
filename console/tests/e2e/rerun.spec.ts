import { clean, expect, expecting, reached, SHOP, seeded, start, test } from "./fixtures";

test("a failed execution runs again with other input, as its plan says @S1-176", async ({
  page,
  request,
}) => {
  const id = await start(request, "orders", SHOP.declined);
  await reached(request, id, "failed");
  await page.goto(`/executions/${id}`);
  await page.getByRole("button", { name: "All actions" }).click();
  await page.getByRole("menuitem", { name: "Rerun with other tasks or input" }).click();
  const path = `/api/v1/executions/${id}:rerun`;
  const answer = await request.post(path, { data: { fromFailed: true, dryRun: true } });
  const plan: { node: string; reused: boolean }[] = (await answer.json()).nodes;
  const again = plan.filter((node) => !node.reused);
  await expect(page.getByTestId("plan")).toContainText(`${again.length} tasks run again`);
  for (const node of plan) {
    const word = node.reused ? "result reused" : "runs again";
    const item = page.getByRole("treeitem", { name: new RegExp(`^${node.node}, ${word}`) });
    await expect(item).toHaveCount(1);
  }
  const input = page.getByLabel("Input of the execution (JSON)");
  await expect(input).toHaveValue(/"card": "declined"/);
  await page.getByLabel("All tasks").check();
  await expect(page.getByRole("button", { name: `Rerun ${plan.length} tasks` })).toBeDisabled();
  await input.fill("{not json");
  await expect(page.getByText("This is not JSON")).toBeVisible();
  await input.fill('{"order": "o-2", "amount": 7}');
  await page.getByLabel("Reason").fill("another card");
  await page.getByRole("button", { name: `Rerun ${plan.length} tasks` }).click();
  await expect(page.getByText("Rerun of")).toBeVisible();
  const started = page.url().split("/").at(-1) ?? "";
  expect(started).not.toBe(id);
  await reached(request, started, "completed");
  const found = await (await request.get(`/api/v1/executions/${started}`)).json();
  expect(found.input).toEqual({ order: "o-2", amount: 7 });
  await page.getByRole("link", { name: "compare" }).click();
  await expect(page.getByTestId("verdict")).toBeVisible();
});

test("chosen tasks run again with an edited input of their own @S1-176", async ({
  page,
  request,
}) => {
  const id = seeded("completed");
  await page.goto(`/executions/${id}/rerun?from=ship`);
  await expect(page.getByRole("button", { name: /^Rerun 2 tasks from ship$/ })).toBeVisible();
  await page.getByRole("button", { name: "Edit the input of ship" }).click();
  const input = page.getByLabel("Input of ship (JSON)");
  await expect(input).toHaveValue(/"order": "o-4711"/);
  await input.fill('{"order": "edited"}');
  await page.getByLabel("Reason").fill("to another address");
  await page.getByRole("button", { name: "Rerun 2 tasks from ship" }).click();
  await expect(page.getByText("Rerun of")).toBeVisible();
  const started = page.url().split("/").at(-1) ?? "";
  await reached(request, started, "completed");
  const node = await (await request.get(`/api/v1/executions/${started}/nodes/ship`)).json();
  expect(node.input).toEqual({ order: "edited" });
});

test("a running execution is not run again, and the page says why", async ({ page }) => {
  await page.goto(`/executions/${seeded("running")}/rerun`);
  await expect(page.getByText("The execution has not ended")).toBeVisible();
  await page.getByRole("link", { name: "Watch it" }).click();
  await expect(page.getByRole("tablist")).toBeVisible();
});

test("a rerun of an execution that does not exist is a sentence", async ({ page }) => {
  expecting("404");
  await page.goto("/executions/exec-nothing/rerun");
  await expect(page.getByText("There is no such execution")).toBeVisible();
});

test("a click in the list chooses the task, and the plan follows @S1-176", async ({ page }) => {
  await page.goto(`/executions/${seeded("completed")}/rerun`);
  await expect(page.getByTestId("plan")).toContainText("9 tasks run again, 0 results are reused");
  await page.getByRole("treeitem", { name: /^notify-customer,/ }).click();
  await expect(page.getByTestId("plan")).toContainText("1 task runs again, 8 results are reused");
});

test("the page has no violation of WCAG: rerun @S1-176", async ({ page }) => {
  await page.goto(`/executions/${seeded("failed")}/rerun`);
  await expect(page.getByTestId("plan")).toContainText("run again");
  await expect(page.getByRole("status", { name: "Loading" })).toHaveCount(0);
  await clean(page);
});
