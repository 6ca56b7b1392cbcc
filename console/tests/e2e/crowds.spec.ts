/** Many workflows stay readable, and what is late or belongs to a team says so. */

import { named, store } from "./builder";
import { clean, expect, expecting, reached, rows, start, test } from "./fixtures";

/** A workflow that ends at once, and one that waits for a signal that is never sent. */
const WAITS = (name: string) => `apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: ${name}}
spec:
  tasks:
    - {id: asked, decision: {conditions: [{id: wait, expression: "input.wait"}]}}
    - {id: paid, wait: {event: paid}, dependsOn: [{task: asked, on: wait}]}
`;

test("home says which executions are late against their usual time @S1-117", async ({
  page,
  request,
}) => {
  const name = named("late");
  await store(request, WAITS(name));
  for (let each = 0; each < 5; each += 1) {
    await reached(request, await start(request, name, { wait: false }), "completed");
  }
  const id = await start(request, name, { wait: true });
  await page.goto("/");
  const late = page.getByRole("link", { name: new RegExp(`Late ${name}.*longer than usual`) });
  await expect(late).toContainText("1 time");
  await late.click();
  await expect(rows(page)).toHaveCount(1);
  await expect(page.getByRole("link", { name: id })).toBeVisible();
  await request.post(`/api/v1/executions/${id}:cancel`, { data: { reason: "seen" } });
});

test("workflows show their description and team @S0-08", async ({ page, request }) => {
  // The statistics of a workflow that has never run are not there.
  expecting("404");
  const name = named("described");
  await store(
    request,
    `apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: ${name}, labels: {team: front-office}}
spec:
  description: Takes an order and sends the parcel.
  tasks: [{id: take, taskRef: noop}]
`,
  );
  await page.goto(`/workflows?q=${name}`);
  const row = page.getByRole("row").filter({ has: page.getByRole("link", { name }) });
  await expect(row).toContainText("Takes an order and sends the parcel.");
  await expect(row.locator('td[data-head="Team"]')).toHaveText("front-office");
  await clean(page);
  await row.getByRole("link", { name: "Details" }).click();
  await expect(page.getByText("Takes an order and sends the parcel.")).toContainText(
    "Team: front-office",
  );
});

test("calls of HTTP addresses and tasks of workers are counted for a workflow @S0-160", async ({
  page,
  request,
}) => {
  const name = named("calls");
  await store(
    request,
    `${httpTask(name, "http://127.0.0.1:9/none", "retry: {maxAttempts: 1}")}---
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: ${name}}
spec:
  tasks:
    - {id: pack, taskRef: shop-quick, input: {}}
    - {id: ask, taskRef: ${name}, dependsOn: [pack]}
`,
  );
  await reached(request, await start(request, name, {}), "failed");
  const counted = async () => {
    const { edges } = await (await request.get("/api/v1/topology")).json();
    return edges.filter((each: { source: string }) => each.source === name).length;
  };
  await expect.poll(counted).toBe(2);
  await page.goto(`/workflows/${name}`);
  const called = page.getByRole("region", { name: "Called services", exact: true }).first();
  for (const service of ["workers of shop.quick", "127.0.0.1:9"]) {
    const row = called.getByRole("row").filter({ hasText: service });
    await expect(row.locator('td[data-head="Calls a minute"]')).toHaveText(/\d/);
  }
  await page.goto("/visualization/topology");
  const rows = page.getByRole("region", { name: /^Calls of the last/ }).getByRole("row");
  for (const service of ["workers of shop.quick", "127.0.0.1:9"]) {
    const row = rows.filter({ hasText: name }).filter({ hasText: service });
    await expect(row.locator('td[data-head="Calls a minute"]')).toHaveText(/\d/);
  }
});

function httpTask(name: string, url: string, more = ""): string {
  const spec = `{type: http, http: {method: GET, url: "${url}"}${more && `, ${more}`}}`;
  return `apiVersion: workflow.io/v1\nkind: WorkflowTask\nmetadata: {name: ${name}}\nspec: ${spec}\n`;
}

const SERVICES = ["bank", "post", "stock", "tax", "maps", "mail", "fraud", "print"];

/** A workflow that calls two services, and belongs to a team if it has one. */
function caller(at: number): string {
  const calls = [at % 8, (at * 3 + 1) % 8].map(
    (service, place) => `    - {id: call-${place}, taskRef: ${SERVICES[service]}}\n`,
  );
  const labels = at < 20 ? `, labels: {team: ${at % 2 ? "sales" : "finance"}}` : "";
  const name = `flow-${String(at).padStart(2, "0")}`;
  return `apiVersion: workflow.io/v1\nkind: Workflow\nmetadata: {name: ${name}${labels}}\nspec:\n  tasks:\n${calls.join("")}`;
}

test("a topology of forty workflows is grouped, and a choice hides the others @S0-160", async ({
  page,
  request,
}) => {
  const namespace = named("crowd");
  const headers = { "content-type": "application/yaml", "flowmesh-namespace": namespace };
  const data = [
    ...SERVICES.map((name) => httpTask(name, `https://${name}.example/x`)),
    ...Array.from({ length: 40 }, (_, at) => caller(at)),
  ].join("---\n");
  const stored = await request.post("/api/v1/workflows", { headers, data });
  expect(stored.ok(), await stored.text()).toBe(true);
  await page.addInitScript((namespace) => {
    const state = { theme: "system", density: "normal", zone: "", singleKeys: true, actor: "" };
    const kept = { state: { ...state, railOpen: true, namespace }, version: 1 };
    localStorage.setItem("flowmesh.preferences", JSON.stringify(kept));
  }, namespace);
  await page.goto("/visualization/topology");
  const picture = page.getByRole("group", { name: "Topology" });
  const boxes = picture.getByRole("button");
  const sales = picture.getByRole("button", { name: "Team sales (10)" });
  await expect(sales).toBeVisible();
  expect(await boxes.count()).toBeLessThan(30);
  await clean(page);
  await sales.click();
  await expect(picture.getByRole("button", { name: "flow-01" })).toBeVisible();
  await expect(picture.getByRole("button", { name: "flow-02" })).toHaveCount(0);
  await picture.getByRole("button", { name: "flow-01" }).click();
  await expect(picture.getByRole("button", { name: /^flow-/ })).toHaveCount(1);
  await expect(picture.getByRole("button", { name: "https://post.example" })).toBeVisible();
  await page.getByRole("button", { name: "Show all" }).click();
  await expect(sales).toBeVisible();
  await page.getByRole("button", { name: "Group workflows" }).click();
  await expect(boxes).toHaveCount(48);
  await expect(picture.locator("path")).toHaveCount(0);
  await picture.getByRole("button", { name: "flow-01" }).hover();
  await expect(picture.locator("path")).toHaveCount(2);
});
