import { expect, reached, SHOP, seeded, start, test } from "./fixtures";

test("the palette goes to pages, executions and actions", async ({ page }) => {
  await page.goto("/console");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Home");
  await page.keyboard.press("Control+k");
  await expect(page.getByPlaceholder("Type a command")).toBeFocused();
  await page.keyboard.type("settings");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Settings");
  await page.keyboard.press("Control+k");
  await expect(page.getByPlaceholder("Type a command")).toBeFocused();
  await page.keyboard.type(seeded("stuck"));
  await expect(page.getByRole("option", { name: /imports/ })).toBeVisible();
  await page.keyboard.press("Enter");
  await expect(page.getByTestId("cause")).toContainText("no worker takes shop.unserved");
});

test("keys lead to pages and are listed; they can be switched off", async ({ page }) => {
  await page.goto("/console");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Home");
  await page.keyboard.press("g");
  await page.keyboard.press("e");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Executions");
  await page.keyboard.press("?");
  await expect(page.getByRole("dialog", { name: "Keys" })).toContainText("Select the row");
  await page.keyboard.press("Escape");
  await page.keyboard.press("g");
  await page.keyboard.press("s");
  await page.getByLabel(/Single keys act/).uncheck();
  await page.getByRole("heading", { level: 1 }).click();
  await page.keyboard.press("g");
  await page.keyboard.press("h");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Settings");
});

test("a held order is found and repaired by keyboard alone", async ({ page, request }) => {
  const id = await start(request, "held-orders", SHOP.declined);
  await page.goto("/console/executions");
  await expect(page.getByTestId("executions")).toBeVisible();
  await page.keyboard.press("/");
  await page.keyboard.type(`id = "${id}"`);
  await page.keyboard.press("Enter");
  await expect(page.getByText("1 execution", { exact: true })).toBeVisible();
  await page.keyboard.press("Escape");
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await expect(page.getByTestId("cause")).toContainText("is held");
  const charge = page.getByRole("treeitem", { name: /^charge/ });
  await page.getByRole("treeitem", { name: /^validate/ }).focus();
  await page.keyboard.press("ArrowRight");
  await expect(charge).toBeFocused();
  await page.keyboard.press("Enter");
  const skip = page
    .getByRole("complementary", { name: "Task charge" })
    .getByRole("button", { name: "Skip" });
  await skip.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").getByLabel("Reason").focus();
  await page.keyboard.type("paid in cash");
  await page.keyboard.press("Enter");
  await reached(request, id, "completed");
  await expect(page.getByRole("treeitem", { name: /^charge, Skipped/ })).toBeVisible();
});

test("tabs are moved by arrows, and the skip link leads to the content", async ({ page }) => {
  await page.goto(`/executions/${seeded("completed")}`);
  await page.getByRole("tab", { name: "Graph" }).focus();
  await page.keyboard.press("ArrowRight");
  await expect(page.getByRole("tab", { name: "Timeline" })).toBeFocused();
  await expect(page.getByTestId("timeline")).toBeVisible();
  await page.reload();
  await expect(page.getByTestId("timeline")).toBeVisible();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("main")).toBeFocused();
});
