import { clean, expect, expecting, reached, start, test } from "./fixtures";

const CREDIT = { customer: "Bob", turnover: 10 };

test("an approval is decided with its form, which is checked first @S2-61", async ({
  page,
  request,
}) => {
  const id = await start(request, "credits", CREDIT);
  await page.goto(`/approvals?chosen=${id}/grant`);
  const panel = page.getByRole("region", { name: "Decision" });
  await expect(panel.getByRole("heading", { name: "Credit for Bob" })).toBeVisible();
  await expect(panel).toContainText("turnover");
  await panel.getByRole("button", { name: "Approve" }).click();
  await expect(panel.getByLabel("Limit")).toHaveAccessibleDescription("A value is needed.");
  await clean(page);
  await panel.getByLabel("Limit").fill("50");
  await panel.getByLabel("City").fill("Bern");
  await panel.getByRole("button", { name: "Approve" }).click();
  await expect(panel.getByLabel("Limit")).toHaveAccessibleDescription(/50 is less than 100/);
  await panel.getByLabel("Limit").fill("500");
  await panel.getByText("3 optional fields").click();
  await panel.getByLabel("Kind").selectOption("yearly");
  await panel.getByRole("button", { name: "Add an item" }).click();
  await panel.getByLabel("Contacts 1").fill("bob@example.com");
  await panel.getByLabel("Comment").fill("known for years");
  await panel.getByRole("button", { name: "Approve" }).click();
  await reached(request, id, "completed");
  await expect(page.locator(`[aria-current] >> text=Credit for Bob`)).toHaveCount(0);
  const task = await (await request.get(`/api/v1/executions/${id}/nodes/grant`)).json();
  const [decision] = task.output.decisions;
  expect(decision).toMatchObject({ by: "ann", approved: true, comment: "known for years" });
  expect(decision.form).toEqual({
    limit: 500,
    kind: "yearly",
    address: { city: "Bern" },
    contacts: ["bob@example.com"],
  });
});

test("required fields come first, and the others are folded until they are wanted @S2-61", async ({
  page,
  request,
}) => {
  const id = await start(request, "credits", CREDIT);
  await page.goto(`/approvals?chosen=${id}/grant`);
  const panel = page.getByRole("region", { name: "Decision" });
  await expect(panel.getByLabel("Limit")).toBeVisible();
  await expect(panel.getByLabel("City")).toBeVisible();
  await expect(panel.getByLabel("Kind")).toBeHidden();
  const fold = panel.getByText("3 optional fields");
  await fold.click();
  await panel.getByRole("button", { name: "Add an item" }).click();
  await panel.getByLabel("Contacts 1").fill("bob");
  await fold.click();
  await expect(panel.getByLabel("Contacts 1")).toBeHidden();
  await panel.getByRole("button", { name: "Approve" }).click();
  await expect(panel.getByLabel("Contacts 1")).toBeVisible();
  await panel.getByLabel("Contacts 1").fill("bob@example.com");
  await expect(panel.getByLabel("Contacts 1")).toBeFocused();
  await expect(panel.getByLabel("Contacts 1")).toHaveAccessibleDescription("");
  await clean(page);
});

test("an approval is rejected without its form @S2-61", async ({ page, request }) => {
  const id = await start(request, "credits", CREDIT);
  await page.goto(`/approvals?chosen=${id}/grant`);
  await page.getByLabel("Comment").fill("not now");
  await page.getByRole("button", { name: "Reject" }).click();
  await reached(request, id, "failed");
});

test("the inbox of a person has only what that person can decide @S2-61", async ({
  page,
  request,
}) => {
  const id = await start(request, "refunds", { amount: 12 });
  await expect
    .poll(async () => (await request.get("/api/v1/approvals?assignee=bob")).text())
    .toContain(id);
  await page.goto("/approvals");
  await page.getByRole("searchbox", { name: /Only approvals/ }).fill("bob");
  await page.keyboard.press("Enter");
  const inbox = page.getByRole("navigation", { name: "Waiting approvals" });
  await expect(inbox).toContainText("Refund 12");
  await expect(inbox).not.toContainText("Credit");
  await page.getByRole("searchbox", { name: /Only approvals/ }).fill("no such approval");
  await page.keyboard.press("Enter");
  await expect(page.getByText("Nothing waits for no such approval")).toBeVisible();
});

test("the inbox shows a new approval by itself, and keys move in it @S2-61", async ({
  page,
  request,
}) => {
  await page.goto("/approvals?assignee=bob");
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await start(request, "refunds", { amount: 4711 });
  const inbox = page.getByRole("navigation", { name: "Waiting approvals" });
  await expect(inbox).toContainText("Refund 4711");
  // The address names the chosen one; the texts of rows have times that go on.
  const chosen = () => new URL(page.url()).searchParams.get("chosen");
  await page.keyboard.press("j");
  await expect.poll(chosen).not.toBeNull();
  const second = chosen();
  await expect(inbox.locator("[aria-current]")).toHaveCount(1);
  await page.keyboard.press("k");
  await expect.poll(chosen).not.toBe(second);
});

test("a decision that the server refuses says why @S2-61", async ({ page, request }) => {
  const id = await start(request, "refunds", { amount: 9 });
  await page.goto(`/approvals?chosen=${id}/approve`);
  await page.getByLabel("Decide as").fill("mallory");
  expecting("Failed to load resource");
  await page.getByRole("button", { name: "Approve" }).click();
  await expect(page.getByRole("alert")).toContainText("The decision was not recorded");
});
