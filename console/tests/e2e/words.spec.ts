/** The words of buttons, times and colours, and what a called service has answered. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Locator } from "@playwright/test";
import { named, store } from "./builder";
import { expect, reached, SHOP, seeded, start, taskReached, test } from "./fixtures";

test("buttons and choices have the words of the reader @S2-61", async ({ page }) => {
  await page.goto("/dead-letters");
  await expect(page.getByRole("button", { name: "Refresh", exact: true })).toBeVisible();
  await page.goto("/triggers?workflow=settlement");
  const nightly = page.getByRole("row", { name: /^nightly/ });
  await nightly.getByRole("button", { name: "Runs", exact: true }).click();
  const runs = page.getByRole("region", { name: "Runs of nightly" });
  await expect(runs.getByRole("button", { name: /^Backfill \d+ runs?$/ })).toBeVisible();
  await expect(page.locator("main")).not.toContainText(/causes?\b/i);
  await page.goto("/settings");
  for (const label of ["Theme", "Time zone"]) {
    const choice = page.getByRole("combobox", { name: label });
    await expect(choice.getByRole("option", { name: "System", exact: true })).toBeAttached();
  }
});

test("the head of an execution says who decides, and offers one rerun @S0-05", async ({
  page,
  request,
}) => {
  await page.goto(`/executions/${seeded("held")}`);
  await expect(page.getByTestId("cause")).toContainText("until you decide its outcome");
  await page.goto(`/executions/${seeded("failed")}`);
  const head = page.locator("main > header");
  await expect(page.getByTestId("cause")).toContainText("failed with CardDeclined");
  await expect(head.getByRole("button", { name: /^Rerun/ })).toHaveCount(1);
  const id = await start(request, "hello");
  await reached(request, id, "completed");
  await page.goto(`/executions/${id}`);
  await expect(head.getByRole("button", { name: /^Rerun/ })).toHaveCount(1);
  await page.getByRole("button", { name: "All actions" }).click();
  await expect(page.getByRole("menuitem", { name: /Compare/ })).toBeVisible();
  await expect(page.getByRole("menu")).not.toContainText("It has ended");
});

test("a deadline in two days is not rounded down to one @S2-61", async ({ page, request }) => {
  const name = named("due");
  const tasks = '[{id: grant, approval: {title: "Grant it?", deadline: 48h}}]';
  await store(
    request,
    `apiVersion: workflow.io/v1\nkind: Workflow\nmetadata: {name: ${name}}\nspec: {tasks: ${tasks}}\n`,
  );
  const id = await start(request, name, {});
  await taskReached(request, id, "grant", "running");
  await page.goto(`/approvals?chosen=${id}/grant`);
  const panel = page.getByRole("region", { name: "Decision" });
  await expect(panel.getByText("in 2 d", { exact: true })).toBeVisible();
  await request.post(`/api/v1/executions/${id}:cancel`, { data: { reason: "seen" } });
});

/** The colour of a line, as its mark in the legend has it. */
function colourOf(chart: Locator, name: string): Promise<string> {
  const series = chart.locator(".u-series").filter({ hasText: name });
  return series.locator(".u-marker").evaluate((mark) => getComputedStyle(mark).borderTopColor);
}

test("the percentiles of durations differ in their colours @S0-155", async ({ page, request }) => {
  await reached(request, seeded("completed"), "completed");
  for (const [path, title] of [
    ["/dashboards?hours=1", "Duration of completed executions"],
    ["/observe?hours=1", "Durations of executions"],
  ] as const) {
    await page.goto(path);
    const chart = page.getByRole("region", { name: title });
    await expect(chart.locator(".u-series").filter({ hasText: "p95" })).toBeVisible();
    const colours = await Promise.all(["p50", "p95", "p99"].map((name) => colourOf(chart, name)));
    expect(new Set(colours).size, colours.join(", ")).toBe(3);
  }
});

test("what a service answered stands in the head and at the task @S0-05", async ({
  page,
  request,
}) => {
  const body = '{"error": "card_declined",\n "code": 51}';
  const server = createServer((_, answer) => {
    answer.writeHead(402, { "content-type": "application/json" }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/charge`;
  const name = named("answered");
  const task = `{type: http, http: {method: POST, url: "${url}"}, retry: {maxAttempts: 1}}`;
  const held = "[{id: charge, taskRef: NAME, onFailure: HOLD}]".replace("NAME", name);
  await store(
    request,
    `apiVersion: workflow.io/v1\nkind: WorkflowTask\nmetadata: {name: ${name}}\nspec: ${task}
---\napiVersion: workflow.io/v1\nkind: Workflow\nmetadata: {name: ${name}}\nspec: {tasks: ${held}}\n`,
  );
  const id = await start(request, name, SHOP.order);
  await page.goto(`/executions/${id}?node=charge`);
  const answer = '{"error": "card_declined", "code": 51}';
  const panel = page.getByRole("complementary", { name: "Task charge" });
  await expect(page.getByTestId("cause")).toContainText("is held");
  await expect(page.getByTestId("cause")).toContainText(answer);
  await expect(panel.getByRole("code").filter({ hasText: answer })).toBeVisible();
  await request.post(`/api/v1/executions/${id}/nodes/charge:fail`, { data: { reason: "seen" } });
  await reached(request, id, "failed");
  await expect(page.getByTestId("cause")).toContainText("failed with");
  await expect(page.getByTestId("cause")).toContainText(answer);
  server.close();
});
