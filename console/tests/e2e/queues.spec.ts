import { clean, expect, reached, SHOP, start, test } from "./fixtures";

test("dispatch of a workflow is stopped and started with its reason", async ({ page, request }) => {
  await page.goto("/queues");
  const load = page.getByRole("region", { name: "Load" });
  await expect(load.getByRole("row").filter({ hasText: "shop.unserved" })).toContainText(
    "no worker",
  );
  await page.getByRole("button", { name: "Stop dispatch" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Workflow").fill("hello");
  await dialog.getByLabel("Reason").fill("the printer burns");
  await clean(page);
  await dialog.getByRole("button", { name: "Stop dispatch of hello" }).click();
  const stops = page.getByRole("region", { name: "Stops of dispatch" });
  await expect(stops).toContainText("the printer burns");
  const held = await start(request, "hello", SHOP.order);
  await expect(stops.getByRole("row").filter({ hasText: "hello" })).toContainText("hello1the");
  expect((await (await request.get(`/api/v1/executions/${held}`)).json()).status).toBe("running");
  await stops.getByRole("button", { name: "Start dispatch" }).click();
  await dialog.getByLabel("Reason").fill("it is out");
  await dialog.getByRole("button", { name: "Start dispatch of hello" }).click();
  await expect(stops).toHaveCount(0);
  await reached(request, held, "completed");
});
