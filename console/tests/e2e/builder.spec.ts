import type { Page } from "@playwright/test";
import { expect, reached, test } from "./fixtures";

let made = 0;

/** A name that no other test uses. */
function named(base: string): string {
  made += 1;
  return `${base}-${process.pid}-${test.info().workerIndex}-${made}`;
}

const text = (page: Page) => page.getByRole("textbox", { name: "Text" });
const stage = (page: Page) => page.getByTestId("stage");
const task = (page: Page, id: string) => stage(page).locator(`[data-task="${id}"]`);
const state = (page: Page) => page.getByTestId("save-state");

/** Replace the whole text as by typing. */
async function write(page: Page, value: string): Promise<void> {
  await page.getByRole("tab", { name: "Text" }).click();
  await text(page).click();
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.insertText(value);
}

async function blank(page: Page): Promise<void> {
  await page.goto("/workflows/new");
  await page.getByRole("button", { name: "Blank workflow" }).click();
  await expect(task(page, "start")).toBeVisible();
}

const ORDER = (name: string) => `# The order of a shop.
apiVersion: workflow.io/v1
kind: Workflow
metadata:
  name: ${name}   # as in the shop
spec:
  tasks:
    - id: reserve
      taskRef: noop
    - id: charge   # the bank
      taskRef: noop
      dependsOn: [reserve]
`;

test("a text is typed, drawn, checked, saved and run @S0-08 @S0-133", async ({ page, request }) => {
  const name = named("typed");
  await blank(page);
  await write(page, ORDER(name));
  await expect(task(page, "charge")).toBeVisible();
  await expect(page.getByRole("status").filter({ hasText: "No findings" })).toBeVisible();
  await expect(state(page)).toHaveText("Draft kept here");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("button", { name: "Save as a new workflow" }).click();
  await expect(state(page)).toHaveText("Saved as version 1");
  await expect(page).toHaveURL(new RegExp(`/workflows/${name}/edit`));
  const stored = await request.get(`/api/v1/workflows/${name}/source`);
  expect(await stored.text()).toBe(ORDER(name));
  await page.getByRole("tab", { name: "Run" }).click();
  await page.getByRole("button", { name: "Save and run" }).click();
  const link = page.getByRole("link", { name: /^Execution / });
  await expect(link).toBeVisible();
  const id = ((await link.textContent()) ?? "").replace("Execution ", "");
  await reached(request, id, "completed");
  await expect(task(page, "charge")).toHaveAttribute("data-family", "success");
});
