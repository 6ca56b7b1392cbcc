import type { Page } from "@playwright/test";
import { named, store } from "./builder";
import {
  clean,
  expect,
  expecting,
  live,
  many,
  reached,
  rows,
  SHOP,
  seeded,
  start,
  test,
} from "./fixtures";

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
  await expect(rows(page).filter({ hasNotText: "Failed" }).first()).toBeVisible();
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
  await page.goto("/executions?q=status+%3D+failed+AND+workflow+%3D+orders");
  await rows(page)
    .filter({ hasText: seeded("failed") })
    .getByRole("link")
    .click();
  await expect(page.getByTestId("cause")).toBeVisible();
  await page.goBack();
  await expect(page.getByRole("combobox", { name: "Filter" })).toHaveValue(
    "status = failed AND workflow = orders",
  );
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
  await page.goto("/executions?q=status+%3D+failed+AND+workflow+%3D+orders");
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
  await expect(
    row.getByRole("button", { name: /last (\d+ )?executions?:.*(running|on hold)/i }),
  ).toBeVisible();
  await row.getByRole("link", { name: "held-orders" }).click();
  await expect(rows(page).filter({ hasText: seeded("held") })).toBeVisible();
});

test("the home page leads to failures and approvals", async ({ page, request }) => {
  await start(request, "orders", SHOP.declined);
  await page.goto("/console");
  await expect(page.getByRole("link", { name: /^Failed orders CardDeclined/ })).toBeVisible();
  await page
    .getByRole("link", { name: /^Needs approval Refund \d+ refunds/ })
    .first()
    .click();
  await expect(page.getByRole("region", { name: "Decision" })).toContainText("Refund");
});

/** The ids of the drawn rows by their place, the first of which is 2. */
async function drawn(page: Page): Promise<Map<string, string>> {
  const read = rows(page).locator('xpath=self::*[not(@aria-busy="true")]');
  return new Map(
    await read.evaluateAll((all) =>
      all.map((row) => [
        row.getAttribute("aria-rowindex") ?? "",
        row.querySelector("a")?.textContent ?? "",
      ]),
    ),
  );
}

test("a list longer than memory keeps its place and reads earlier pages again", async ({
  page,
}) => {
  await many(page);
  const asked: string[] = [];
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.pathname === "/api/v1/executions") asked.push(url.searchParams.get("pageToken") ?? "");
  });
  await page.goto("/console/executions");
  await expect(rows(page).first()).toBeVisible();
  const seen = await drawn(page);
  const scroller = page.getByTestId("executions");
  const toEnd = () => scroller.evaluate((element) => element.scrollTo(0, element.scrollHeight));
  const last = async () => {
    await toEnd();
    const found = await drawn(page);
    for (const [place, id] of found) seen.set(place, id);
    return Math.max(...[...found.keys()].map(Number));
  };
  const patience = { intervals: [20], timeout: 60_000 };
  await expect.poll(last, patience).toBeGreaterThan(3_000);
  await page.waitForLoadState("networkidle");
  const read = asked.length;
  // A reader who stays at the end of what was read starts no further calls.
  await scroller.evaluate((element) => element.scrollBy(0, -40));
  await page.waitForLoadState("networkidle");
  expect(asked.length).toBeLessThanOrEqual(read + 1);
  for (const row of [0, 1_475]) {
    const before = asked.length;
    await scroller.evaluate((element, top) => element.scrollTo(0, top), row * 34);
    const place = String(row + 20);
    // Executions that other scenarios start move the rows below them.
    await expect.poll(async () => [...(await drawn(page)).values()]).toContain(seen.get(place));
    if (row === 0) expect(asked.length).toBeGreaterThan(before);
  }
});

test("rows that arrive above the reader do not move what is read", async ({ page, request }) => {
  await page.setViewportSize({ width: 1_200, height: 420 });
  await page.goto('/executions?q=workflow+%3D+"orders"');
  await live(page);
  await page.getByTestId("executions").evaluate((element) => element.scrollTo(0, 102));
  const [place = "", id = ""] = [...(await drawn(page))][4] ?? [];
  const row = rows(page).filter({ hasText: id });
  const top = async () => Math.round((await row.boundingBox())?.y ?? 0);
  const before = await top();
  await start(request, "orders", SHOP.order);
  await start(request, "orders", SHOP.order);
  await expect
    .poll(async () => Number(await row.getAttribute("aria-rowindex")))
    .toBeGreaterThanOrEqual(Number(place) + 2);
  await expect.poll(top).toBe(before);
});

test("back returns to the row from which an execution was opened", async ({ page }) => {
  await many(page);
  await page.goto("/console/executions");
  await expect(rows(page).first()).toBeVisible();
  const scroller = page.getByTestId("executions");
  const place = async () => {
    await scroller.evaluate((element) => element.scrollTo(0, 2_000));
    return (await drawn(page)).get("70");
  };
  await expect.poll(place).toBeTruthy();
  const id = (await place()) ?? "";
  expecting("404");
  await rows(page).filter({ hasText: id }).getByRole("link").click();
  await expect(page).toHaveURL(new RegExp(id));
  await page.goBack();
  await expect(rows(page).filter({ hasText: id })).toBeInViewport();
});

test("search attributes are columns, chosen and kept for each workflow @S0-148", async ({
  page,
  request,
}) => {
  const name = named("wares");
  const spec = {
    tasks: [{ id: "rest", taskRef: "noop" }],
    searchAttributes: {
      amount: { type: "number", from: "{{ input.amount }}" },
      customer: { type: "text", from: "{{ input.customer }}" },
    },
  };
  const metadata = { name };
  const source = { apiVersion: "workflow.io/v1", kind: "Workflow", metadata, spec };
  await store(request, JSON.stringify(source));
  await start(request, name, { amount: 12.5, customer: "Ada & Sons" });
  await start(request, name, { amount: 80, customer: "Bob" });
  await page.goto(`/executions?q=workflow+%3D+${name}`);
  const heads = page.getByRole("columnheader");
  await expect(heads.filter({ hasText: "customer" })).toBeVisible();
  await expect(rows(page).filter({ hasText: "Ada & Sons" })).toContainText("12.5");
  await heads.getByRole("button", { name: "amount" }).click();
  await expect(rows(page).first()).toContainText("Bob");
  await page.getByRole("button", { name: "Columns" }).click();
  await page.getByRole("menuitemcheckbox", { name: "attr.customer" }).click();
  await page.keyboard.press("Escape");
  await expect(heads.filter({ hasText: "customer" })).toBeHidden();
  await clean(page);
  await page.goto("/executions?q=workflow+%3D+orders");
  await expect(rows(page).first()).toBeVisible();
  await expect(heads.filter({ hasText: "amount" })).toBeHidden();
  await page.goto(`/executions?q=workflow+%3D+${name}`);
  await expect(heads.filter({ hasText: "amount" })).toBeVisible();
  await expect(heads.filter({ hasText: "customer" })).toBeHidden();
});

test("the archive is a list of its own, without filter and counts", async ({ page }) => {
  expecting("409");
  await page.goto("/executions");
  await page.getByRole("combobox", { name: "Started in" }).selectOption("Archive");
  await expect(page.getByRole("alert").first()).toContainText("the archive is off");
  await expect(page.getByRole("combobox", { name: "Filter" })).toHaveCount(0);
  await expect(page.getByRole("complementary", { name: "Facets" })).toHaveCount(0);
  expect(new URL(page.url()).searchParams.get("range")).toBe("archive");
});
