import { clean, expect, reached, SHOP, start, test } from "./fixtures";

test("a dead letter is sent again with other input and completes @S1-181", async ({
  page,
  request,
}) => {
  const failed = await start(request, "orders", SHOP.declined);
  await reached(request, failed, "failed");
  await page.goto("/dead-letters");
  const row = page.getByRole("row").filter({ hasText: failed });
  await expect(row).toContainText("CardDeclined the bank declined the card");
  await row.getByRole("button", { name: "Edit and send again" }).click();
  const dialog = page.getByRole("dialog");
  const input = dialog.getByLabel("Input of the task (JSON)");
  await expect(input).toHaveValue(/"card": "declined"/);
  await input.fill("{not json");
  await expect(dialog.getByRole("alert")).toContainText("This is not JSON");
  await clean(page);
  await input.fill('{"order": "o-2", "amount": 99}');
  await dialog.getByLabel("Reason").fill("another card");
  await dialog.getByRole("button", { name: "Send again with this input" }).click();
  const link = dialog.getByRole("link");
  const sent = (await link.textContent()) ?? "";
  expect(sent).not.toBe(failed);
  await reached(request, sent, "completed");
  await link.click();
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
});

test("dead letters are sent again in bulk @S1-181", async ({ page, request }) => {
  const ids = [];
  for (const order of ["o-91", "o-92"]) {
    ids.push(await start(request, "orders", { ...SHOP.declined, order }));
  }
  for (const id of ids) await reached(request, id, "failed");
  await page.goto("/dead-letters");
  for (const id of ids) await page.getByLabel(`Select charge of ${id}`).check();
  const bar = page.getByRole("region", { name: "Bulk actions" });
  await expect(bar).toContainText("2 executions selected");
  await bar.getByRole("button", { name: "Send again" }).click();
  await page.getByRole("dialog").getByLabel("Reason").fill("the bank was down");
  await page.getByRole("dialog").getByRole("button", { name: "Send again: 2 executions" }).click();
  await expect(page.getByText("Sent: 2 applied, 0 skipped, 0 failed of 2")).toBeVisible();
});

test("dead letters are discarded with a reason, and put back @S1-181 @S3-28", async ({
  page,
  request,
}) => {
  const id = await start(request, "orders", { ...SHOP.declined, order: "o-93" });
  await reached(request, id, "failed");
  await page.goto("/dead-letters");
  const row = page.getByRole("row").filter({ hasText: id });
  await page.getByLabel(`Select charge of ${id}`).check();
  await page.getByRole("button", { name: "Discard" }).click();
  const dialog = page.getByRole("dialog");
  const go = dialog.getByRole("button", { name: "Discard: 1 execution" });
  await expect(go).toBeDisabled();
  await dialog.getByLabel("Reason").fill("the customer has paid in cash");
  await go.click();
  await expect(page.getByText("The letters of 1 execution are discarded.")).toBeVisible();
  await expect(row).toHaveCount(0);
  const listed = await (await request.get("/api/v1/dead-letters?pageSize=200")).text();
  expect(listed).not.toContain(id);
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(row).toHaveCount(1);
});

test("letters that failed alike are a group, and a group is shown alone @S1-181", async ({
  page,
  request,
}) => {
  const id = await start(request, "trips", SHOP.declined);
  await reached(request, id, "failed");
  await page.goto("/dead-letters");
  const group = page.getByRole("button", { name: /^trips: CardDeclined/ });
  await group.click();
  await expect(group).toHaveAttribute("aria-pressed", "true");
  await expect(page.getByRole("row").filter({ hasText: id })).toHaveCount(1);
  await expect(page.getByRole("row").filter({ hasText: "orders" })).toHaveCount(0);
  await clean(page);
});

test("counts of groups and all of a group are the server's @S1-181", async ({ page, request }) => {
  const filter = 'workflow = "trips" AND status = failed AND dead_letter = null';
  for (let each = 0; each < 55; each += 1) await start(request, "trips", SHOP.declined);
  await expect
    .poll(async () => {
      const counted = await request.get("/api/v1/executions:count", { params: { filter } });
      return (await counted.json()).count;
    })
    .toBeGreaterThanOrEqual(55);
  await page.goto("/dead-letters");
  const group = page.getByRole("button", { name: /^trips: CardDeclined/ });
  await group.click();
  const many = /\d+$/.exec((await group.textContent()) ?? "")?.[0];
  await page.getByRole("checkbox", { name: "Select all" }).check();
  await expect(page.getByText("50 executions selected")).toBeVisible();
  await page.getByRole("button", { name: `Select all ${many} of the group` }).click();
  await expect(page.getByText(`${many} executions selected`)).toBeVisible();
});
