/** Steps that the tests of the builder share. */

import type { APIRequestContext, Locator, Page } from "@playwright/test";
import { expect, test } from "./fixtures";

let made = 0;

/** A name that no other test uses. */
export function named(base: string): string {
  made += 1;
  return `${base}-${process.pid}-${test.info().workerIndex}-${made}`;
}

export const text = (page: Page): Locator => page.getByRole("textbox", { name: "Text" });
export const stage = (page: Page): Locator => page.getByTestId("stage");
export const state = (page: Page): Locator => page.getByTestId("save-state");
export const findings = (page: Page): Locator => page.getByRole("region", { name: "Findings" });
export const palette = (page: Page): Locator =>
  page.getByRole("complementary", { name: "Palette" });

export function task(page: Page, id: string): Locator {
  return stage(page).locator(`[data-task="${id}"]`);
}

export function edge(page: Page, from: string, to: string): Locator {
  return stage(page).locator(`[data-edge='${JSON.stringify([from, to])}']`);
}

/** The text as the editor holds it. */
export async function written(page: Page): Promise<string> {
  await page.getByRole("tab", { name: "Text" }).click();
  return (await text(page).locator(".cm-line").allTextContents()).join("\n");
}

/** Take an entry of the open completions; a click is lost while the editor asks for them anew. */
export async function complete(page: Page, name: string): Promise<void> {
  const option = page.getByRole("option", { name });
  await expect(option).toBeVisible();
  await expect(async () => {
    if (await option.isVisible()) await option.click({ timeout: 2_000 });
    await expect(option).toBeHidden({ timeout: 1_000 });
  }).toPass({ timeout: 30_000 });
}

/** Replace the whole text as by typing. */
export async function write(page: Page, value: string): Promise<void> {
  await page.getByRole("tab", { name: "Text" }).click();
  await text(page).click();
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.insertText(value);
}

export async function blank(page: Page): Promise<void> {
  await page.goto("/workflows/new");
  await page.getByRole("button", { name: "Blank workflow" }).click();
  await expect(task(page, "start")).toBeVisible();
}

/** A stored workflow, opened in the builder. */
export async function edit(
  page: Page,
  request: APIRequestContext,
  name: string,
  source: string,
): Promise<void> {
  await store(request, source);
  await page.goto(`/workflows/${name}/edit`);
  await expect(text(page)).toBeVisible();
}

export async function store(
  request: APIRequestContext,
  source: string,
  type = "application/yaml",
): Promise<void> {
  const headers = { "content-type": type };
  const answer = await request.post("/api/v1/workflows", { headers, data: source });
  expect(answer.ok(), await answer.text()).toBe(true);
}

export async function sourceOf(request: APIRequestContext, name: string): Promise<string> {
  return (await request.get(`/api/v1/workflows/${name}/source`)).text();
}

/** Store the draft through the dialog. */
export async function save(page: Page, version: number): Promise<void> {
  await page.getByRole("button", { name: "Save", exact: true }).click();
  const what = version === 1 ? "Save as a new workflow" : `Save as version ${version}`;
  await page.getByRole("button", { name: what }).click();
  await expect(state(page)).toHaveText(`Saved as version ${version}`);
}

/** Add an entry of the palette by a click. */
export async function add(page: Page, label: string): Promise<void> {
  await palette(page).getByRole("button", { name: label, exact: true }).first().click();
}

/** Draw an edge from the handle of a task to another one, by pointer. */
export async function draw(page: Page, from: string, to: string): Promise<void> {
  await task(page, from).locator("[data-handle]").hover();
  await page.mouse.down();
  await task(page, to).hover({ force: true });
  await page.mouse.up();
}

/** Move a task by pointer. */
export async function drag(page: Page, id: string, dx: number, dy: number): Promise<void> {
  const box = await task(page, id).boundingBox();
  if (!box) throw new Error(`${id} is not drawn`);
  await page.mouse.move(box.x + 40, box.y + 20);
  await page.mouse.down();
  await page.mouse.move(box.x + 40 + dx / 2, box.y + 20 + dy / 2);
  await page.mouse.move(box.x + 40 + dx, box.y + 20 + dy);
  await page.mouse.up();
}

export const ORDER = (name: string): string => `# The order of a shop.
apiVersion: workflow.io/v1
kind: Workflow
metadata:
  name: ${name}   # as in the shop
spec:
  inputSchema:
    type: object
    properties:
      amount: {type: number}
  tasks:
    - id: reserve
      taskRef: noop
    - id: charge   # the bank
      taskRef: noop
      dependsOn: [reserve]
    - {id: ship, taskRef: noop, dependsOn: ['charge']}
`;

export { expect, test };
