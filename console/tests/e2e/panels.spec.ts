import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { APIRequestContext, Page } from "@playwright/test";
import { clean, expect, expecting, test } from "./fixtures";

test.describe.configure({ mode: "serial" });

// Pages of other scenarios have no panels.
const headers = { "flowmesh-namespace": "panels" };

/** Show the namespace with a panel, and return an execution with this input. */
async function shown(page: Page, request: APIRequestContext, name: string, input: object) {
  const plugin = { name, accepted: ["read execution"] };
  const spec = { tasks: [{ id: "pack", taskRef: "noop" }] };
  const metadata = { name: "order" };
  const workflow = { apiVersion: "workflow.io/v1", kind: "Workflow", metadata, spec };
  for (const [path, data] of [
    ["plugins", plugin],
    ["workflows", workflow],
  ] as const) {
    const answer = await request.post(`/api/v1/${path}`, { data, headers });
    expect(answer.ok(), await answer.text()).toBe(true);
  }
  const path = "/api/v1/workflows/order/execute";
  const ran = await request.post(path, { data: { input }, headers });
  expect(ran.ok(), await ran.text()).toBe(true);
  await page.goto("/console/settings");
  await page.getByLabel("Shown namespace").fill("panels");
  await page.getByRole("button", { name: "Show this namespace" }).click();
  return (await ran.json()).executionId as string;
}

async function remove(request: APIRequestContext, name: string) {
  const answer = await request.delete(`/api/v1/plugins/${name}`, { headers });
  expect(answer.ok(), await answer.text()).toBe(true);
}

/** A server on loopback, and the requests that reached it. */
async function canary() {
  const reached: string[] = [];
  const server = createServer((asked, answer) => {
    reached.push(asked.url ?? "");
    answer.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { reached, url: `http://127.0.0.1:${port}/`, close: () => server.close() };
}

test("a panel of a plugin shows the execution @S1-193", async ({ page, request }) => {
  const input = { customerName: "Ada", lines: [{ item: "Tea" }] };
  const id = await shown(page, request, "receipt-panel", input);
  await page.goto(`/executions/${id}`);
  await page.getByRole("tab", { name: "Panels" }).click();
  const panel = page.getByRole("region", { name: "Receipt" });
  await expect(panel).toContainText("plugin receipt-panel 1.0.0");
  const receipt = panel.frameLocator("iframe");
  await expect(receipt.getByRole("heading", { level: 1 })).toContainText("Order");
  for (const name of ["Customer name Ada", "Lines, 1, item Tea"]) {
    await expect(receipt.getByRole("row", { name, exact: true })).toHaveCount(1);
  }
  await clean(page);
  await remove(request, "receipt-panel");
  await page.goto("/plugins");
  await page.goto(`/executions/${id}`);
  await expect(page.getByRole("tab", { name: "Graph" })).toBeVisible();
  await expect(page.getByRole("tab", { name: "Panels" })).toHaveCount(0);
});

test("a hostile panel reaches neither page, token nor network @S1-193", async ({
  page,
  request,
}) => {
  for (const each of ["Content Security Policy", "sandbox", "Unsafe attempt", "Blocked"]) {
    expecting(each);
  }
  const place = await canary();
  const id = await shown(page, request, "prober", { canary: place.url });
  await page.goto(`/executions/${id}?tab=panels`);
  const frame = page.getByRole("region", { name: "prober" }).frameLocator("iframe");
  const line = (name: string) => frame.getByRole("listitem").filter({ hasText: `${name}: ` });
  await expect(line("end")).toBeVisible();
  await expect(line("granted")).toHaveText(`granted: ${id}`);
  await expect(line("read")).toHaveText([
    "read: the plugin has no permission: read history",
    "read: the plugin has no permission: read ../secrets",
  ]);
  for (const name of ["page", "address", "cookie", "storage"]) {
    await expect(line(name)).toHaveText(`${name}: refused SecurityError`);
  }
  for (const name of [
    "api",
    "fetch",
    "socket",
    "picture",
    "script",
    "peer",
    "nested",
    "window",
    "top",
  ]) {
    await expect(line(name)).toContainText("refused");
  }
  // It leaves for the canary, which the policy of the page refuses to frames.
  await frame.locator("ul").click();
  await expect(line("end")).toBeHidden();
  await expect(page.getByRole("tab", { name: "Panels" })).toBeVisible();
  expect(new URL(page.url()).pathname).toBe(`/executions/${id}`);
  expect(place.reached).toEqual([]);
  place.close();
  // It reads nothing of a workflow here, as its manifest asks for the execution only.
  await page.goto("/workflows/order");
  await expect(
    page.getByRole("region", { name: "prober" }).frameLocator("iframe").getByRole("listitem"),
  ).toHaveText([/history/, /secrets/, "read: this page has no execution"]);
  await remove(request, "prober");
});
