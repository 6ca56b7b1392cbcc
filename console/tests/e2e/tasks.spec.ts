import { clean, expect, test } from "./fixtures";

const headers = { "flowmesh-namespace": "catalogue" };

test("a task of the catalogue has its owner, documentation and results @S1-193", async ({
  page,
  request,
}) => {
  const description = "# Charge\n\nCharges a **card** with `amount`.\n\n- once\n- <b>safely</b>";
  const metadata = { name: "charge-card", labels: { owner: "payments" } };
  for (const document of [
    {
      kind: "WorkflowTask",
      metadata,
      spec: { type: "python", python: { code: "return 1" }, description },
    },
    {
      kind: "Workflow",
      metadata: { name: "checkout" },
      spec: { tasks: [{ id: "charge", taskRef: "charge-card" }] },
    },
  ]) {
    const data = { apiVersion: "workflow.io/v1", ...document };
    const answer = await request.post("/api/v1/workflows", { data, headers });
    expect(answer.ok(), await answer.text()).toBe(true);
  }
  const path = "/api/v1/workflows/checkout/execute";
  expect((await request.post(path, { data: { input: {} }, headers })).ok()).toBe(true);
  await page.goto("/console/settings");
  await page.getByLabel("Shown namespace").fill("catalogue");
  await page.getByRole("button", { name: "Show this namespace" }).click();
  await page.goto("/tasks");
  await page.getByRole("searchbox").fill("payments");
  await expect(page.getByRole("row", { name: "charge-card" })).toContainText("payments");
  await page.getByRole("link", { name: "charge-card" }).click();
  const panel = page.getByRole("complementary", { name: "charge-card" });
  await expect(panel).toContainText("Owned by payments");
  await expect(panel.getByRole("heading", { name: "Charge", exact: true })).toBeVisible();
  await expect(panel.getByText("card", { exact: true })).toBeVisible();
  await expect(panel.getByRole("listitem").filter({ hasText: "<b>safely</b>" })).toBeVisible();
  // The statistics follow the end of an execution.
  await expect(async () => {
    await page.reload();
    await expect(panel).toContainText("1 run, 100 % of them succeeded", { timeout: 3_000 });
  }).toPass({ timeout: 60_000 });
  await clean(page);
});
