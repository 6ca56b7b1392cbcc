import { clean, expect, seeded, test } from "./fixtures";

for (const [name, path] of [
  ["home", "/console"],
  ["executions", "/console/executions"],
  ["workflows", "/console/workflows"],
  ["queues", "/console/queues"],
  ["approvals", "/console/approvals"],
  ["triggers", "/console/triggers"],
  ["workers", "/console/workers"],
  ["agents", "/console/agents"],
  ["plugins", "/console/plugins"],
  ["messages", "/console/messages"],
  ["event streams", "/console/streams"],
  ["audit log", "/console/audit"],
  ["projects", "/console/projects"],
  ["secrets", "/console/secrets"],
  ["services", "/console/services"],
  ["bulk actions", "/console/bulk"],
  ["dashboards", "/console/dashboards"],
  ["dashboard of a workflow", "/console/dashboards?workflow=orders"],
  ["grid", "/console/visualization/grid?workflow=orders"],
  ["topology", "/console/visualization/topology"],
  ["galaxy", "/console/visualization/galaxy"],
  ["dead letters", "/console/dead-letters"],
  ["components", "/console/styleguide"],
  ["settings", "/console/settings"],
  ["sign-in", "/console/login"],
] as const) {
  test(`the page has no violation of WCAG: ${name} @S0-132`, async ({ page }) => {
    await page.goto(path);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await expect(page.getByRole("status", { name: "Loading" })).toHaveCount(0);
    await clean(page);
  });
}

for (const tab of ["graph", "timeline", "history", "values", "paths", "children"]) {
  test(`the view of an execution has no violation of WCAG: ${tab} @S3-123`, async ({ page }) => {
    const name = tab === "children" ? "parent" : "held";
    await page.goto(
      `/executions/${seeded(name)}?tab=${tab}&node=${name === "held" ? "charge" : "order"}`,
    );
    await expect(page.getByRole("complementary")).toBeVisible();
    await expect(page.getByRole("status", { name: "Loading" })).toHaveCount(0);
    await clean(page);
  });
}
