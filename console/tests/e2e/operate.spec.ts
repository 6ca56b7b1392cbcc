import { clean, expect, SHOP, seeded, start, test } from "./fixtures";

test("workers are listed with their slots, and tasks without one are named @S3-51", async ({
  page,
  request,
}) => {
  await page.goto("/workers");
  const { workers } = await (await request.get("/api/v1/workers")).json();
  const remote = workers.find((each: { builtin: boolean }) => !each.builtin);
  const row = page.getByRole("row", { name: remote.workerId });
  await expect(row).toContainText("shop.charge");
  await expect(row).toContainText(`of ${remote.slots}`);
  await expect(row).toContainText(/python-\d+\.\d+/);
  await expect(page.getByRole("alert")).toContainText("shop.unserved");
  await expect(page.getByRole("region", { name: "Built-in executors" })).toContainText("all");
});

test("services are listed by name with their health @S3-51", async ({ page }) => {
  await page.goto("/services");
  for (const name of ["gateway", "orchestrator", "worker"]) {
    const service = page.getByRole("row", { name: new RegExp(`^${name}\\b`) });
    await expect(service).toContainText("Healthy");
  }
});

test("a bulk action is shown with its progress and its reason @S1-181", async ({
  page,
  request,
}) => {
  const filter = `id = "${seeded("completed")}"`;
  const body = { filter, action: "rerun", reason: "to see it in the list" };
  expect((await request.post("/api/v1/bulk", { data: body })).ok()).toBe(true);
  await page.goto("/bulk");
  const row = page.getByRole("row").filter({ hasText: "to see it in the list" });
  await expect(row).toContainText("1 applied, 0 skipped, 0 failed of 1");
  await expect(row).toContainText("Completed");
  await row.getByRole("link").click();
  await expect(page.getByRole("heading", { name: "Executions" })).toBeVisible();
});

test("a limit is set, holds tasks, and is deleted @S3-51", async ({ page, request }) => {
  await page.goto("/queues");
  await page.getByRole("button", { name: "Set a limit" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Of").fill("waits");
  await dialog.getByLabel("Tasks at once").fill("3");
  await dialog.getByLabel("Reason").fill("a small oven");
  await clean(page);
  await dialog.getByRole("button", { name: "Set the limit" }).click();
  const limits = page.getByRole("region", { name: "Limits", exact: true });
  const row = limits.getByRole("row").filter({ hasText: "a small oven" });
  await expect(row).toContainText("3");
  await row.getByRole("button", { name: "Delete" }).click();
  await dialog.getByLabel("Reason").fill("a larger oven");
  await dialog.getByRole("button", { name: "Delete the limit" }).click();
  await expect(row).toHaveCount(0);
  const changes = page.getByRole("region", { name: "Changes of limits" });
  await expect(changes).toContainText("a larger oven");
  const { limits: left } = await (await request.get("/api/v1/limits")).json();
  expect(left.filter((each: { subject: string }) => each.subject === "waits")).toEqual([]);
});

test("queues follow by themselves while tasks arrive @S3-51", async ({ page, request }) => {
  await page.goto("/queues");
  const load = page.getByRole("region", { name: "Load" });
  const row = load.getByRole("row").filter({ hasText: "shop.unserved" });
  const ready = async () => Number(await row.getByRole("cell").nth(2).textContent());
  await expect.poll(ready).toBeGreaterThan(0);
  const before = await ready();
  await start(request, "imports", SHOP.order);
  await expect.poll(ready).toBe(before + 1);
});
