import { readFile } from "node:fs/promises";
import type { APIRequestContext, Page } from "@playwright/test";
import { expect, expecting, live, test } from "./fixtures";

/** A cluster of processes of its own, each of which these tests may kill. */
test.describe.configure({ mode: "serial" });
test.use({ baseURL: process.env.CLUSTER_URL ?? "http://127.0.0.1:1" });

const ITEMS = 1_500;
const SOURCE = `
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: ledger}
spec:
  tasks:
    - id: ready
      wait: {event: ready}
    - id: each
      dependsOn: [ready]
      map:
        items: "{{input.items}}"
        results: COUNT
        concurrency: 20
        tasks:
          - {id: book, taskRef: transform, input: {source: "{{item}}", pipeline: []}}
    - id: paid
      dependsOn: [each]
      wait: {event: paid}
`;

async function started(request: APIRequestContext): Promise<string> {
  const headers = { "content-type": "application/yaml" };
  const applied = await request.post("/api/v1/workflows", { headers, data: SOURCE });
  expect(applied.ok(), await applied.text()).toBe(true);
  const items = Array.from({ length: ITEMS }, (_, number) => ({ number }));
  const answer = await request.post("/api/v1/workflows/ledger/start", {
    data: { input: { items } },
  });
  return (await answer.json()).executionId;
}

/** Repeat a call until the cluster answers it; its key makes it count once. */
async function signal(request: APIRequestContext, id: string, name: string): Promise<void> {
  const path = `/api/v1/executions/${id}:signal`;
  const headers = { "idempotency-key": `${id}-${name}` };
  await expect
    .poll(
      async () => {
        try {
          return (await request.post(path, { headers, data: { name, payload: {} } })).ok();
        } catch {
          return false;
        }
      },
      { timeout: 60_000 },
    )
    .toBe(true);
}

/** The events that the page has, as it saves them. */
async function saved(page: Page): Promise<{ sequence: number; type: string }[]> {
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "JSON Lines" }).click();
  const text = await readFile(await (await download).path(), "utf8");
  return text.split("\n").map((line) => JSON.parse(line));
}

async function sameAsHistory(page: Page, request: APIRequestContext, id: string): Promise<void> {
  const known: { sequence: number; type: string }[] = [];
  for (let after = 0; ; ) {
    const answer = await request.get(
      `/api/v1/executions/${id}/history?after=${after}&pageSize=10000&view=outline`,
    );
    const { events, nextAfter } = await answer.json();
    known.push(...events);
    if (!nextAfter) break;
    after = nextAfter;
  }
  const shown = await saved(page);
  const short = (events: { sequence: number; type: string }[]) =>
    events.map(({ sequence, type }) => `${sequence} ${type}`);
  expect(short(shown)).toEqual(short(known));
  expect(known.length).toBeGreaterThan(ITEMS);
}

for (const [member, says] of [
  ["gateway", true],
  ["orchestrator", false],
  ["event", false],
] as const) {
  test(`killed while a page is open: ${member}; it resumes without gap or repeat @S0-96 @S1-139`, async ({
    page,
    request,
  }) => {
    test.setTimeout(180_000);
    for (const text of ["WebSocket", "ERR_CONNECTION", "503", "502", "504", "500"]) expecting(text);
    const id = await started(request);
    await page.goto(`/console/executions/${id}?tab=history`);
    await live(page);
    await signal(request, id, "ready");
    await expect(page.getByText(/^[2-9]\d\d events$|^\d,\d{3} events$/)).toBeVisible();
    const killed = await request.post(`${process.env.CLUSTER_CONTROL}/kill/${member}`);
    expect(killed.ok(), await killed.text()).toBe(true);
    if (says) {
      await expect(page.getByText("The connection to the server is lost")).toBeVisible();
      await expect(page.getByRole("status").filter({ hasText: /Not live for/ })).toBeVisible();
    }
    await signal(request, id, "paid");
    await expect(page.locator("main > header").getByText("Completed")).toBeVisible({
      timeout: 90_000,
    });
    await expect(page.getByText("The connection to the server is lost")).toHaveCount(0);
    await sameAsHistory(page, request, id);
  });
}

test("a list that is open while the gateway is killed has the new rows after it @S0-97", async ({
  page,
  request,
}) => {
  test.setTimeout(120_000);
  for (const text of ["WebSocket", "ERR_CONNECTION", "503", "502", "504", "500"]) expecting(text);
  await page.goto("/console/executions");
  await live(page);
  await request.post(`${process.env.CLUSTER_CONTROL}/kill/gateway`);
  await expect(page.getByRole("status").filter({ hasText: /Not live for/ })).toBeVisible();
  await expect(page.getByRole("status").filter({ hasText: /^Live$/ })).toBeVisible({
    timeout: 60_000,
  });
  const id = await started(request);
  await expect(page.getByText(id)).toBeVisible({ timeout: 30_000 });
});
