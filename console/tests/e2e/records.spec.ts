import { expect } from "@playwright/test";
import { clean, expecting, test } from "./fixtures";

const staff = JSON.parse(process.env.STAFF ?? "{}") as Record<string, string>;

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

test.describe("closed", () => {
  test.use({ baseURL: staff.url ?? "http://127.0.0.1:1" });

  test("the audit log is filtered, and its chain is checked", async ({ page }) => {
    expecting("401");
    expecting("WebSocket");
    await page.goto("/login?next=%2Faudit");
    await page.getByLabel("E-mail").fill(staff.owner ?? "");
    await page.getByLabel("Password").fill(staff.password ?? "");
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
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
