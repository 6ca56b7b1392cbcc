import { clean, expect, test } from "./fixtures";

test("agents, their policy, its decisions and their chart", async ({ page, request }) => {
  const spec = { command: ["sleep", "600"], health: "process", replicas: 1 };
  const put = await request.put("/api/v1/agent-specs/sleepers", { data: spec });
  expect(put.ok(), await put.text()).toBe(true);
  await page.goto("/agents");
  const agents = page.getByRole("region", { name: /^\d+ agents?$/ });
  await expect(agents.getByRole("row").filter({ hasText: "sleepers" })).toContainText("Healthy", {
    timeout: 20_000,
  });
  const policy = { spec: "sleepers", strategy: "performance_based", min: 2, max: 3 };
  const set = await request.put("/api/v1/scaling-policies/p", { data: policy });
  expect(set.ok(), await set.text()).toBe(true);
  await expect(page.getByRole("region", { name: "Scaling policies" })).toContainText("2 – 3");
  const decisions = page.getByRole("region", { name: "Last decisions" });
  await expect(decisions).toContainText("1 → 2", { timeout: 20_000 });
  await expect(decisions).toContainText("MIN");
  await expect(page.getByText("Wish and count of sleepers")).toBeVisible();
  await expect(agents.getByRole("row").filter({ hasText: "sleepers" })).toHaveCount(2);
  await clean(page);
  await request.delete("/api/v1/agent-specs/sleepers?stopAgents=true");
  await expect(page.getByText("No agents")).toBeVisible({ timeout: 20_000 });
});
