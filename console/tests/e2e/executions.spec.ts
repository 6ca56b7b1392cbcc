import { expect, expecting, live, reached, rows, SHOP, seeded, start, test } from "./fixtures";

test("a filter narrows the list and stands in the address @S0-148", async ({ page }) => {
  await page.goto("/executions");
  const filter = page.getByRole("combobox", { name: "Filter" });
  await filter.fill('status = failed AND workflow = "orders"');
  await filter.press("Enter");
  await expect(rows(page).first()).toContainText("CardDeclined");
  await expect(rows(page).filter({ hasText: "Completed" })).toHaveCount(0);
  expect(new URL(page.url()).searchParams.get("q")).toBe('status = failed AND workflow = "orders"');
  await page.reload();
  await expect(filter).toHaveValue('status = failed AND workflow = "orders"');
  await expect(rows(page).first()).toContainText("Failed");
});

test("a filter that is wrong is an error with its place, not an empty list", async ({ page }) => {
  expecting("400");
  await page.goto("/executions");
  const filter = page.getByRole("combobox", { name: "Filter" });
  await filter.fill("stats = failed");
  await filter.press("Enter");
  await expect(page.getByRole("alert").first()).toContainText("stats");
  await expect(page.getByText("No execution matches")).toHaveCount(0);
  await expect(filter).toHaveAttribute("aria-invalid", "true");
});

test("fields, operators, values and workflows are completed", async ({ page }) => {
  await page.goto("/executions");
  const filter = page.getByRole("combobox", { name: "Filter" });
  await filter.fill("sta");
  await expect(page.getByRole("option").first()).toContainText("status");
  await filter.press("Tab");
  await expect(filter).toHaveValue("status ");
  await filter.press("Tab");
  await filter.pressSequentially("fail");
  await filter.press("Tab");
  await expect(filter).toHaveValue("status = failed ");
  await filter.fill("workflow = ref");
  await expect(page.getByRole("option", { name: "refunds" })).toBeVisible();
});

test("a facet adds its term and takes it away", async ({ page }) => {
  await page.goto("/executions");
  const failed = page.getByRole("complementary").getByRole("button", { name: /^Failed/ });
  await failed.click();
  await expect(page.getByRole("combobox", { name: "Filter" })).toHaveValue("status = failed");
  await expect(rows(page).filter({ hasText: "Running" })).toHaveCount(0);
  await expect(failed).toHaveAttribute("aria-pressed", "true");
  await failed.click();
  await expect(page.getByRole("combobox", { name: "Filter" })).toHaveValue("");
  await expect(rows(page).filter({ hasText: "Running" }).first()).toBeVisible();
});

test("a drag in the chart chooses an interval, and a button goes back", async ({ page }) => {
  await page.goto("/executions?range=1h");
  const chart = page.getByRole("img", { name: /started; drag/ });
  await expect(rows(page).first()).toBeVisible();
  const box = await chart.boundingBox();
  if (!box) throw new Error("the chart has no place");
  await page.mouse.move(box.x + 20, box.y + 20);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 3, box.y + 20);
  await page.mouse.up();
  await expect(page.getByText("No executions in this time")).toBeVisible();
  const chosen = new URL(page.url()).searchParams;
  const length = Date.parse(chosen.get("to") ?? "") - Date.parse(chosen.get("from") ?? "");
  expect(length).toBeGreaterThan(15 * 60_000);
  expect(length).toBeLessThan(25 * 60_000);
  await page.getByRole("button", { name: "Back to last hour" }).click();
  await expect(rows(page).first()).toBeVisible();
});

test("a view is saved with its filter and columns, and kept", async ({ page }) => {
  await page.goto("/executions?q=status+%3D+paused");
  await page.getByRole("button", { name: "Columns" }).click();
  await page.getByRole("menuitemcheckbox", { name: "Version" }).click();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Save view" }).click();
  await page.getByLabel("Name").fill("Paused ones");
  await page.getByRole("dialog").getByRole("button", { name: "Save view" }).click();
  await page.getByRole("button", { name: "All", exact: true }).click();
  await expect(page.getByRole("combobox", { name: "Filter" })).toHaveValue("");
  await page.reload();
  await page.getByRole("button", { name: "Paused ones", exact: true }).click();
  await expect(page.getByRole("combobox", { name: "Filter" })).toHaveValue("status = paused");
  await expect(page.getByRole("columnheader", { name: "Version" })).toBeVisible();
});

test("the order is changed in the head and is that of the server", async ({ page, request }) => {
  await page.goto("/executions");
  await page.getByRole("button", { name: "Started" }).click();
  await expect(page.getByRole("columnheader", { name: "Started" })).toHaveAttribute(
    "aria-sort",
    "ascending",
  );
  const answer = await request.get("/api/v1/executions?orderBy=started%20asc&pageSize=1");
  const [oldest] = (await answer.json()).executions;
  await expect(rows(page).first()).toContainText(oldest.executionId);
});

test("back restores the filter after an execution was opened", async ({ page }) => {
  await page.goto("/executions?q=status+%3D+failed");
  await rows(page)
    .filter({ hasText: seeded("failed") })
    .getByRole("link")
    .click();
  await expect(page.getByTestId("cause")).toBeVisible();
  await page.goBack();
  await expect(page.getByRole("combobox", { name: "Filter" })).toHaveValue("status = failed");
  await expect(rows(page).filter({ hasText: seeded("failed") })).toBeVisible();
});

test("chosen rows are paused in bulk after a preview, with a reason", async ({ page, request }) => {
  const ids = [await start(request, "reports"), await start(request, "reports")];
  await page.goto("/executions?q=workflow+%3D+reports+AND+status+%3D+running");
  for (const id of ids) await page.getByLabel(`Select ${id}`).check();
  const bar = page.getByRole("region", { name: "Bulk actions" });
  await expect(bar).toContainText("2 selected");
  await bar.getByRole("button", { name: "Pause" }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("2 executions match now");
  const go = dialog.getByRole("button", { name: "Pause: 2 executions" });
  await expect(go).toBeDisabled();
  await dialog.getByLabel("Reason").fill("the ledger is closed");
  await go.click();
  await expect(page.getByText("2 applied, 0 skipped, 0 failed of 2")).toBeVisible();
  for (const id of ids) {
    await reached(request, id, "paused");
    const history = await request.get(`/api/v1/executions/${id}/history`);
    expect(await history.text()).toContain("the ledger is closed");
    await request.post(`/api/v1/executions/${id}:terminate`, { data: {} });
  }
});

test("all that match are counted by the server before anything is done", async ({ page }) => {
  await page.goto("/executions?q=status+%3D+completed");
  await page.getByLabel("Select all loaded executions").check();
  await page.getByRole("button", { name: "Select all that match the filter" }).click();
  await page
    .getByRole("region", { name: "Bulk actions" })
    .getByRole("button", { name: "Terminate" })
    .click();
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("without compensation");
  await expect(dialog.getByRole("button", { name: /^Terminate: \d+ executions$/ })).toBeDisabled();
  await dialog.getByRole("button", { name: "Back" }).click();
  await expect(dialog).toBeHidden();
});

test("rows are reached, chosen and opened by keys", async ({ page }) => {
  await page.goto("/executions?q=status+%3D+failed");
  await expect(rows(page).first()).toBeVisible();
  await page.keyboard.press("j");
  await page.keyboard.press("x");
  await expect(page.getByText("1 selected")).toBeVisible();
  await page.keyboard.press("x");
  await page.keyboard.press("Enter");
  await expect(page.getByTestId("cause")).toContainText("CardDeclined");
});

test("a row changes its status while it is shown @S0-97 @S4-10", async ({ page, request }) => {
  const id = await start(request, "waits");
  await page.goto("/executions");
  await live(page);
  const row = rows(page).filter({ hasText: id });
  await expect(row).toContainText("Running");
  await request.post(`/api/v1/executions/${id}:signal`, { data: { name: "paid", payload: {} } });
  await expect(row).toContainText("Completed");
});

test("workflows show their last executions and lead to them @S3-107", async ({ page }) => {
  await page.goto("/console/workflows");
  const row = page.getByRole("row").filter({ hasText: "held-orders" });
  await expect(row.getByRole("link", { name: "Running" }).first()).toBeVisible();
  await row.getByRole("link", { name: "held-orders" }).click();
  await expect(rows(page).filter({ hasText: seeded("held") })).toBeVisible();
});

test("the home page leads to failures and approvals", async ({ page, request }) => {
  await start(request, "orders", SHOP.declined);
  await page.goto("/console");
  await expect(page.getByRole("link", { name: /^Failed orders CardDeclined/ })).toBeVisible();
  await page
    .getByRole("link", { name: /^Needs approval approve refunds/ })
    .first()
    .click();
  await expect(page.getByRole("complementary", { name: "Task approve" })).toContainText(
    "Needs approval",
  );
});
