import { expect } from "@playwright/test";
import { named, store } from "./builder";
import { clean, test } from "./fixtures";
import { signIn, staff } from "./staff";

test("queues of messages, what one holds, and exchanges", async ({ page, request }) => {
  const declared = await request.put("/api/v1/message-queues/parcels", {
    data: { deadLetterQueue: "parcels.dlq" },
  });
  expect(declared.ok(), await declared.text()).toBe(true);
  await request.put("/api/v1/exchanges/post", { data: { type: "topic" } });
  const sent = await request.post("/api/v1/message-queues/parcels:publish", {
    data: { messages: [{ body: { parcel: "lamp" } }, { body: { parcel: "chair" } }] },
  });
  expect(sent.ok(), await sent.text()).toBe(true);
  await page.goto("/messages");
  const queues = page.getByRole("region", { name: /^\d+ queues?$/ });
  const row = queues.getByRole("row").filter({ hasText: "parcels" }).first();
  await expect(row.getByRole("cell").nth(2)).toHaveText("2");
  await expect(page.getByRole("region", { name: /^\d+ exchanges?$/ })).toContainText("post");
  await row.getByRole("link", { name: "parcels", exact: true }).click();
  const messages = page.getByRole("region", { name: "Messages of parcels" });
  await expect(messages).toContainText("lamp");
  await expect(messages).toContainText("chair");
  await clean(page);
  await row.getByRole("link", { name: "0" }).click();
  await expect(page.getByText("parcels.dlq holds no messages")).toBeVisible();
  await request.delete("/api/v1/message-queues/parcels");
  await request.delete("/api/v1/message-queues/parcels.dlq");
  await request.delete("/api/v1/exchanges/post");
});

test("streams of events, the newest of one first", async ({ page, request }) => {
  const data = {
    events: [
      { type: "opened", data: { by: "ann" } },
      { type: "closed", data: {} },
    ],
  };
  const stored = await request.post("/api/v1/streams/account-7/events", { data });
  expect(stored.ok(), await stored.text()).toBe(true);
  await page.goto("/streams?stream=account-7");
  const events = page.getByRole("region", { name: "Events of account-7, newest first" });
  await expect(events.getByRole("row").nth(1)).toContainText("closed");
  await expect(events.getByRole("row").nth(2)).toContainText("ann");
  await clean(page);
  await page.getByRole("link", { name: "Messages" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Messages");
});

test("secrets with their users: stored, rotated, deleted, never shown @S3-130", async ({
  page,
  request,
}) => {
  const name = named("courier");
  const task = {
    apiVersion: "workflow.io/v1",
    kind: "WorkflowTask",
    metadata: { name },
    spec: { type: "http", http: { method: "GET", url: `https://x.example?k={{secrets.${name}}}` } },
  };
  await store(request, JSON.stringify(task));
  await page.goto("/secrets");
  await page.getByRole("button", { name: "Store a secret" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill(name);
  await dialog.getByLabel("Value").fill("first-of-courier");
  await clean(page);
  await dialog.getByRole("button", { name: "Store" }).click();
  const row = page.getByRole("row").filter({ hasText: name });
  await expect(row.getByRole("cell").nth(1)).toHaveText("1");
  await expect(row.getByRole("cell").nth(4).getByRole("link", { name })).toBeVisible();
  await row.getByRole("button", { name: "Rotate" }).click();
  await dialog.getByLabel("Value").fill("second-of-courier");
  await dialog.getByRole("button", { name: "Store" }).click();
  await expect(row.getByRole("cell").nth(1)).toHaveText("2");
  expect(await page.content()).not.toContain("of-courier");
  await clean(page);
  await row.getByRole("button", { name: "Delete" }).click();
  await dialog.getByRole("button", { name: "Delete" }).click();
  await expect(row).toHaveCount(0);
});

test("projects with their use and quotas, which are set @S3-124", async ({ page, request }) => {
  await page.goto("/projects");
  const row = page.getByRole("row").filter({ hasText: "default / default / default" });
  await expect(row.getByRole("button", { name: "You work here" })).toBeDisabled();
  await row.getByRole("button", { name: "Set quotas" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("API keys").fill("many");
  await expect(dialog.getByLabel("API keys")).toHaveAccessibleDescription(/whole number/);
  await dialog.getByLabel("API keys").fill("7");
  await clean(page);
  await dialog.getByRole("button", { name: "Set quotas" }).click();
  await expect(row).toContainText("0 of 7");
  const { quota } = await (await request.get("/api/v1/projects/prj_default/quotas")).json();
  expect(quota.apiKeys).toBe(7);
  await clean(page);
  await row.getByRole("button", { name: "Set quotas" }).click();
  await dialog.getByLabel("API keys").fill("");
  await dialog.getByRole("button", { name: "Set quotas" }).click();
  await expect(row).not.toContainText("of 7");
});

test.describe("closed", () => {
  test.use({ baseURL: staff.url ?? "http://127.0.0.1:1" });

  test("the audit log is filtered, and its chain is checked", async ({ page }) => {
    await signIn(page, "owner", "/audit");
    const entries = page.getByRole("region", { name: "Changes and refusals, newest first" });
    await expect(entries).toBeVisible();
    await page.getByLabel("Company").selectOption({ index: 1 });
    await page.getByLabel("Method").fill("TenantService.CreateProject");
    await expect(entries.getByRole("row")).toHaveCount(2);
    await page.getByRole("button", { name: "Check the chain" }).click();
    await expect(page.getByRole("status").filter({ hasText: "the chain is intact" })).toBeVisible();
    await clean(page);
    await page.getByLabel("Actor").fill("nobody");
    await expect(page.getByText("No entry matches")).toBeVisible();
  });
});
