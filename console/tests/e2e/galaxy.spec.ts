import type { Page } from "@playwright/test";
import { expect, reached, SHOP, start, test } from "./fixtures";

/** Whether something is drawn: pixels of the canvas differ. */
async function drawn(page: Page): Promise<boolean> {
  const canvas = page.locator("canvas");
  const picture = await canvas.screenshot();
  return picture.byteLength > 6_000;
}

test.use({
  viewport: { width: 900, height: 640 },
  launchOptions: {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"],
  },
});

test("the galaxy draws all workflows and flies to one @S0-10 @S0-135", async ({ page }) => {
  await page.goto("/visualization/galaxy");
  await expect(page.getByRole("img", { name: /The galaxy with \d+ bodies/ })).toBeVisible();
  await expect.poll(() => drawn(page)).toBe(true);
  const search = page.getByRole("combobox", { name: /Fly to a workflow/ });
  await search.fill("orders");
  await search.press("Enter");
  const card = page.getByRole("complementary", { name: "Chosen body" });
  await expect(card).toContainText("orders");
  await card.getByRole("link", { name: "Dashboard" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Dashboard of orders");
});

test("the galaxy has a table with the numbers of the hour @S0-10", async ({ page, request }) => {
  const id = await start(request, "hello", SHOP.order);
  await reached(request, id, "completed");
  await page.goto("/visualization/galaxy");
  const table = page.getByRole("region", { name: "The same as a table" });
  const query = 'filter=workflow = hello AND started > "-1h"';
  const { count } = await (await request.get(`/api/v1/executions:count?${query}`)).json();
  const row = table.getByRole("row").filter({ hasText: "hello" });
  await expect(row.getByRole("cell").nth(3)).toHaveText(String(count));
  await row.getByRole("button", { name: "Fly there" }).click();
  await expect(page.getByRole("complementary", { name: "Chosen body" })).toContainText("hello");
});

test("the last hour is played at 1x, 10x and 100x @S0-10 @S0-135", async ({ page }) => {
  await page.goto("/visualization/galaxy");
  const hour = page.getByRole("group", { name: "The last hour" });
  await expect(hour.getByLabel("Speed").locator("option")).toHaveText(["1×", "10×", "100×"]);
  await hour.getByRole("button", { name: "Play the last hour" }).click();
  await expect(hour).toContainText(/\d+ moments?/);
  const time = hour.getByLabel("Time");
  await expect.poll(async () => Number(await time.inputValue())).toBeGreaterThan(1_000);
  await hour.getByRole("button", { name: "Stop" }).click();
  const stopped = await time.inputValue();
  await expect(time).toHaveValue(stopped);
});
