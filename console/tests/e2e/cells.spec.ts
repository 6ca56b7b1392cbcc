import { clean, expect, expecting, test } from "./fixtures";
import { signIn, staff } from "./staff";

const CELLS = [
  { name: "us0", number: 0, region: "us", state: "open", projects: 3, own: true },
  { name: "eu1", number: 1, region: "eu", state: "draining", projects: 1, own: false },
].map((each) => ({
  ...each,
  http: `https://${each.name}.example`,
  grpc: `${each.name}.example:1`,
}));

test("one cell says so, and how to have more", async ({ page }) => {
  await page.goto("/cells");
  await expect(page.getByText("This installation is one cell")).toBeVisible();
  await expect(page.getByText("flowmesh dev --cells 3")).toBeVisible();
  await clean(page);
});

test("cells with their loads, a project on its way, and an advised move", async ({ page }) => {
  const moves = [{ project: "shop", from: "us0", to: "eu1", step: "switching" }];
  await page.route("**/api/v1/cells", (route) => route.fulfill({ json: { cells: CELLS, moves } }));
  await page.route("**/api/v1/companies?*", (route) =>
    route.fulfill({ json: { companies: [{ id: "co", slug: "acme" }], nextPageToken: "" } }),
  );
  await page.route("**/api/v1/companies/co/organizations?*", (route) =>
    route.fulfill({ json: { organizations: [{ id: "org", slug: "web" }], nextPageToken: "" } }),
  );
  await page.route("**/api/v1/organizations/org/projects?*", (route) => {
    const projects = [{ id: "prj", slug: "bank", namespace: "bank" }];
    return route.fulfill({ json: { projects, nextPageToken: "" } });
  });
  await page.route("**/api/v1/cells/advice?projects=bank", (route) => {
    const loads = [{ project: "bank", cell: "us0", bytes: 2_000_000 }];
    const advised = [{ project: "bank", from: "us0", to: "eu1", bytes: 2_000_000 }];
    return route.fulfill({ json: { loads, moves: advised, partial: ["us2"] } });
  });
  await page.goto("/cells");
  const cells = page.getByRole("region", { name: "2 cells" });
  await expect(cells.getByRole("row", { name: "us0" })).toContainText("serves this page");
  await expect(cells.getByRole("row", { name: "us0" })).toContainText("1.9 MiB");
  await expect(cells.getByRole("row", { name: "eu1" })).toContainText("Draining");
  const moving = page.getByRole("region", { name: "1 project moves" });
  await expect(moving.getByRole("row", { name: "shop" })).toContainText("Its home is switched");
  const advice = page.getByRole("region", { name: "Moves that would even out the loads" });
  await expect(advice).toContainText("flowmesh cells move bank --to eu1");
  await expect(advice).toContainText("No answer of us2");
  await clean(page);
});

test.describe("in a closed installation", () => {
  test.use({ baseURL: staff.url ?? "http://127.0.0.1:1" });

  test("the cells are shown to roles in the whole installation only", async ({ page }) => {
    expecting("403");
    await signIn(page, "admin", "/cells");
    await expect(page.getByRole("alert")).toContainText("in the whole installation");
    await clean(page);
  });
});
