import type { Page } from "@playwright/test";
import { expect, expecting, reached, SHOP, start, taskReached, test } from "./fixtures";

async function fill(page: Page, label: string, text: string): Promise<void> {
  await page.getByRole("dialog").getByLabel(label).fill(text);
}

async function confirm(page: Page, name: string): Promise<void> {
  await page.getByRole("dialog").getByRole("button", { name, exact: true }).click();
  await expect(page.getByRole("dialog")).toBeHidden();
}

const head = (page: Page) => page.locator("main > header");

test("an execution is paused and resumed with reason and name @S3-107", async ({
  page,
  request,
}) => {
  const id = await start(request, "reports");
  await page.goto(`/executions/${id}`);
  await head(page).getByRole("button", { name: "Pause" }).click();
  await expect(page.getByRole("dialog").getByRole("button", { name: "Pause" })).toBeDisabled();
  await fill(page, "Reason", "the month is not closed");
  await fill(page, "Your name", "Ada");
  await confirm(page, "Pause");
  await expect(head(page).getByText("Paused", { exact: true })).toBeVisible();
  await expect(page.getByTestId("cause")).toContainText("it is paused by Ada");
  await page.getByTestId("cause").getByRole("button", { name: "Resume" }).click();
  await fill(page, "Reason", "it is closed");
  await confirm(page, "Resume");
  await expect(head(page).getByText("Running", { exact: true })).toBeVisible();
  const { events } = await (await request.get(`/api/v1/executions/${id}/history`)).json();
  const paused = events.find((event: { type: string }) => event.type === "WorkflowPaused");
  expect(paused.data).toMatchObject({ actor: "Ada", reason: "the month is not closed" });
  await request.post(`/api/v1/executions/${id}:terminate`, { data: {} });
});

test("an execution is canceled from its menu", async ({ page, request }) => {
  const id = await start(request, "reports");
  await page.goto(`/executions/${id}`);
  await page.getByRole("button", { name: "All actions" }).click();
  await page.getByRole("menuitem", { name: "Cancel" }).click();
  await fill(page, "Reason", "started twice");
  await confirm(page, "Cancel");
  await expect(head(page).getByText("Canceled", { exact: true })).toBeVisible();
});

test("an execution is terminated", async ({ page, request }) => {
  const id = await start(request, "reports");
  await page.goto(`/executions/${id}`);
  await expect(head(page).getByRole("button", { name: "Pause" })).toBeVisible();
  await page.keyboard.press(".");
  await page.getByRole("menuitem", { name: "Terminate" }).click();
  await expect(page.getByRole("dialog")).toContainText("without compensation");
  await fill(page, "Reason", "it hangs");
  await confirm(page, "Terminate");
  await reached(request, id, "canceled");
});

test("the awaited signal is sent with its name filled in", async ({ page, request }) => {
  const id = await start(request, "waits");
  await page.goto(`/executions/${id}`);
  await page.getByTestId("cause").getByRole("button", { name: "Send the signal" }).click();
  await expect(page.getByRole("dialog").getByLabel("Name of the signal")).toHaveValue("paid");
  await fill(page, "Payload (JSON)", "{not json");
  await expect(page.getByRole("dialog").getByRole("alert")).toContainText("This is not JSON");
  await fill(page, "Payload (JSON)", '{"amount": 7}');
  await confirm(page, "Send a signal");
  await expect(head(page).getByText("Completed", { exact: true })).toBeVisible();
  const { tasks } = await (await request.get(`/api/v1/executions/${id}`)).json();
  expect(JSON.stringify(tasks.paid.output)).toContain("7");
});

test("a held task is retried with other input and the order completes @S3-107", async ({
  page,
  request,
}) => {
  const id = await start(request, "held-orders", SHOP.declined);
  await page.goto(`/executions/${id}`);
  await page.getByTestId("cause").getByRole("button", { name: "Decide what happens" }).click();
  const inspector = page.getByRole("complementary", { name: "Task charge" });
  await inspector.getByRole("button", { name: "Retry" }).click();
  await fill(page, "Input (JSON), empty for the same", '{"order": "o-2", "amount": 99}');
  await fill(page, "Reason", "another card");
  await confirm(page, "Retry");
  await expect(head(page).getByText("Completed", { exact: true })).toBeVisible();
  await expect(inspector).toContainText("#2");
});

for (const [name, task] of [
  ["Skip", "Skipped"],
  ["Complete by hand", "Completed"],
  ["Fail", "Failed"],
] as const) {
  test(`a held task is decided by hand: ${name}`, async ({ page, request }) => {
    const id = await start(request, "held-orders", SHOP.declined);
    await page.goto(`/executions/${id}?node=charge`);
    const inspector = page.getByRole("complementary", { name: "Task charge" });
    await inspector.getByRole("button", { name, exact: true }).click();
    await fill(page, "Reason", "decided by phone");
    await confirm(page, name);
    await expect(
      page.getByRole("treeitem", { name: new RegExp(`^charge, ${task}`) }),
    ).toBeVisible();
  });
}

test("an approval is given in the inspector", async ({ page, request }) => {
  const id = await start(request, "refunds", { amount: 5 });
  await taskReached(request, id, "approve", "running");
  await page.goto(`/executions/${id}?node=approve`);
  const inspector = page.getByRole("complementary", { name: "Task approve" });
  await inspector.getByRole("button", { name: "Approve" }).click();
  await fill(page, "Your name", "ann");
  await fill(page, "Comment", "seen");
  await confirm(page, "Approve");
  await expect(inspector).toContainText("bob");
  const found = await (await request.get(`/api/v1/executions/${id}`)).json();
  expect(JSON.stringify(found.tasks.approve)).toContain("seen");
});

test("a failed execution is rerun from its failed tasks, and the new one opens", async ({
  page,
  request,
}) => {
  const id = await start(request, "orders", SHOP.declined);
  await reached(request, id, "failed");
  await page.goto(`/executions/${id}`);
  await head(page).getByRole("button", { name: "Rerun from failed tasks" }).first().click();
  await fill(page, "Reason", "the bank is back");
  await confirm(page, "Rerun from failed tasks");
  await expect(page).not.toHaveURL(new RegExp(id));
  await expect(page.getByText("Rerun of")).toBeVisible();
  await expect(page.getByRole("link", { name: id })).toBeVisible();
});

test("what cannot be done says why in the palette, and is left out of the menu", async ({
  page,
  request,
}) => {
  const id = await start(request, "hello");
  await reached(request, id, "completed");
  await page.goto(`/executions/${id}`);
  await page.getByRole("button", { name: "All actions" }).click();
  await expect(page.getByRole("menuitem", { name: /Compare/ })).toBeVisible();
  await expect(page.getByRole("menuitem", { name: "Pause" })).toHaveCount(0);
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+k");
  await expect(page.getByPlaceholder("Type a command")).toBeFocused();
  await page.keyboard.type("Pause");
  await expect(page.getByRole("option", { name: /Pause this execution/ })).toContainText(
    "It has ended.",
  );
});

test("a refused action stays open with the reason of the server", async ({ page, request }) => {
  expecting("409");
  const id = await start(request, "reports");
  await page.goto(`/executions/${id}`);
  await head(page).getByRole("button", { name: "Pause" }).click();
  await fill(page, "Reason", "too late");
  await request.post(`/api/v1/executions/${id}:terminate`, { data: {} });
  await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
  await expect(page.getByRole("dialog").getByRole("alert")).toContainText("EXECUTION_ENDED");
  await expect(page.getByRole("dialog").getByLabel("Reason")).toHaveValue("too late");
});
