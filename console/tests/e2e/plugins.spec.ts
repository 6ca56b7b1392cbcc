import type { APIRequestContext, Page } from "@playwright/test";
import { clean, expect, expecting, test } from "./fixtures";

test.describe.configure({ mode: "serial" });

const SLOW = { timeout: 60_000 };

function installed(page: Page) {
  return page.getByRole("region", { name: /plugins? installed$/ }).getByRole("row", {
    name: "greeter",
  });
}

async function ask(page: Page, action: string) {
  await installed(page).getByRole("button", { name: action, exact: true }).click();
  return page.getByRole("dialog");
}

async function used(request: APIRequestContext) {
  for (const [kind, spec] of [
    ["WorkflowTask", { type: "greeter.greet" }],
    ["Workflow", { tasks: [{ id: "greet", taskRef: "greeting", input: { name: "Ada" } }] }],
  ]) {
    const data = { apiVersion: "workflow.io/v1", kind, metadata: { name: "greeting" }, spec };
    const answer = await request.post("/api/v1/workflows", { data });
    expect(answer.ok(), await answer.text()).toBe(true);
  }
}

test("a plugin is found, granted its permissions, and used @S1-193", async ({ page, request }) => {
  expecting("409");
  await page.goto("/plugins");
  await expect(page.getByText("No plugins are installed")).toBeVisible();
  await page.getByRole("searchbox", { name: "Search the catalogue" }).fill("nothing such");
  await expect(page.getByText("The catalogue has no such plugin")).toBeVisible();
  await page.getByRole("searchbox", { name: "Search the catalogue" }).fill("greet");
  const catalogue = page.getByRole("region", { name: "Catalogue" });
  await expect(catalogue.getByRole("row", { name: "greeter" })).toContainText("connect {host}:7");
  await catalogue.getByRole("button", { name: "Install" }).click();
  const dialog = page.getByRole("dialog", { name: "Install greeter" });
  await dialog.getByLabel("Version").selectOption("1.0.0");
  await expect(dialog).toContainText("connect {host}:7");
  await dialog.getByLabel("host").fill("mail.example");
  await dialog.getByRole("button", { name: "Install" }).click();
  await expect(dialog.getByRole("alert")).toContainText("connect mail.example:7");
  await expect(page.getByText("No plugins are installed")).toBeVisible();
  await clean(page);
  await dialog.getByRole("button", { name: "Grant them" }).click();
  await expect(dialog).toBeHidden();
  await expect(installed(page)).toContainText("Healthy", SLOW);
  await expect(installed(page)).toContainText("connect mail.example:7");
  await clean(page);
  await used(request);
  const ran = await request.post("/api/v1/workflows/greeting/execute", { data: { input: {} } });
  expect((await ran.json()).output.text).toBe("Hello, Ada!");
});

test("a plugin is configured, upgraded, pinned and removed @S1-193", async ({ page, request }) => {
  expecting("409");
  await page.goto("/plugins");
  let dialog = await ask(page, "Configure");
  await dialog.getByLabel("greeting").fill("Welcome");
  await dialog.getByRole("button", { name: "Configure" }).click();
  await expect(dialog).toBeHidden();
  await expect(installed(page)).toContainText("Healthy", SLOW);

  dialog = await ask(page, "Upgrade");
  await expect(dialog.getByLabel("Version")).toHaveValue("1.1.0");
  await dialog.getByRole("button", { name: "Upgrade" }).click();
  await expect(installed(page)).toContainText("no such host", SLOW);
  await expect(installed(page)).toContainText("this one came back");
  await expect(installed(page)).toContainText("1.0.0");

  dialog = await ask(page, "Pin");
  await dialog.getByRole("button", { name: "Pin", exact: true }).click();
  await expect(installed(page)).toContainText("1.0.0 pinned");
  dialog = await ask(page, "Upgrade");
  await dialog.getByRole("button", { name: "Upgrade" }).click();
  await expect(dialog.getByRole("alert")).toContainText("greeter is pinned to 1.0.0");
  await dialog.getByRole("button", { name: "Back" }).click();

  dialog = await ask(page, "Remove");
  await dialog.getByRole("button", { name: "Remove" }).click();
  await expect(dialog.getByRole("alert")).toContainText(
    "greeter is used by 2 definitions: task greeting, workflow greeting",
  );
  await clean(page);
  for (const path of ["workflows", "tasks"]) {
    expect((await request.delete(`/api/v1/${path}/greeting`)).ok()).toBe(true);
  }
  await page.setViewportSize({ width: 390, height: 844 });
  await page.emulateMedia({ colorScheme: "dark" });
  await dialog.getByRole("button", { name: "Remove" }).click();
  await expect(page.getByText("No plugins are installed")).toBeVisible(SLOW);
  await clean(page);
});
