/** What people stumbled over: keys, fields, counts and views that did not do what they showed. */

import {
  add,
  blank,
  drag,
  edge,
  edit,
  findings,
  named,
  ORDER,
  palette,
  stage,
  store,
  task,
  write,
  written,
} from "./builder";
import { expect, expecting, reached, SHOP, seeded, start, test } from "./fixtures";

test("undo takes back what was drawn, by key and by button @S1-100", async ({ page }) => {
  await blank(page);
  await add(page, "delay");
  await expect(task(page, "delay")).toBeVisible();
  await stage(page).click({ position: { x: 5, y: 300 } });
  await page.keyboard.press("ControlOrMeta+z");
  await expect(task(page, "delay")).toHaveCount(0);
  await page.keyboard.press("ControlOrMeta+y");
  await expect(task(page, "delay")).toBeVisible();
  await stage(page).getByRole("button", { name: "Undo" }).click();
  await expect(task(page, "delay")).toHaveCount(0);
  await stage(page).getByRole("button", { name: "Redo" }).click();
  await expect(task(page, "delay")).toBeVisible();
});

test("a template is typed in its field to the end @S1-101", async ({ page }) => {
  await blank(page);
  await add(page, "transform");
  const source = page.getByRole("group", { name: "Input" }).getByLabel(/^Source/);
  await source.click();
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type("{{input.users}}");
  await expect(source).toHaveValue("{{input.users}}");
  await expect(source).toBeFocused();
  expect(await written(page)).toContain("{{input.users}}");
});

test("a draft is listed by the name that it has now @S1-103", async ({ page }) => {
  await blank(page);
  const name = named("renamed");
  await write(page, ORDER(name));
  await expect(page.getByRole("heading", { level: 1, name })).toBeVisible();
  await page.goto("/workflows/new");
  await expect(page.getByRole("button", { name, exact: true })).toBeVisible();
});

test("tasks behind a decision take its branches @S1-100", async ({ page }) => {
  await blank(page);
  await add(page, "Decision");
  await add(page, "noop");
  await expect(edge(page, "decision", "noop")).toBeAttached();
  await task(page, "decision").click();
  await add(page, "delay");
  await expect(edge(page, "decision", "delay")).toBeAttached();
  const text = await written(page);
  expect(text).toContain("on: yes");
  expect(text).toContain("on: no");
  await expect(findings(page)).not.toContainText("error");
});

test("what is added is seen, wherever the canvas stands @S1-100", async ({ page }) => {
  await blank(page);
  await stage(page).hover({ position: { x: 200, y: 200 } });
  await page.mouse.wheel(0, 3_000);
  await expect(task(page, "start")).not.toBeInViewport();
  await add(page, "delay");
  await expect(task(page, "delay")).toBeInViewport({ ratio: 1 });
});

test("the palette folds by a button, and the keys of the builder are listed @S1-107", async ({
  page,
}) => {
  await blank(page);
  const fold = stage(page).getByRole("button", { name: "Show or hide the palette" });
  await fold.click();
  await expect(palette(page)).toBeHidden();
  await fold.click();
  await expect(palette(page)).toBeVisible();
  await stage(page).click({ position: { x: 5, y: 300 } });
  await page.keyboard.press("?");
  const help = page.getByRole("dialog", { name: "Keys" });
  await expect(help).toContainText("In the builder");
  await expect(help.getByText("F8", { exact: true })).toBeVisible();
  const moving = help.locator("dl > div").filter({ hasText: "Move the box, or the entry" });
  await expect(moving.locator("kbd").first()).toHaveText("Alt");
});

test("layout is tidied by a button @S1-100", async ({ page, request }) => {
  const name = named("tidied");
  await edit(page, request, name, ORDER(name));
  await drag(page, "ship", -60, 140);
  await stage(page).getByRole("button", { name: "Tidy up" }).click();
  expect(`${await written(page)}`).toBe(ORDER(name));
});

test("differing values of compared executions lie inside of the panel @S0-102", async ({
  page,
}) => {
  await page.setViewportSize({ width: 1_280, height: 800 });
  await page.goto(`/executions/compare?left=${seeded("completed")}&right=${seeded("failed")}`);
  await page.getByRole("treeitem", { name: /^charge,/ }).click();
  const panel = page.getByRole("complementary", { name: "Differences" });
  const [outer, inner] = [
    await panel.boundingBox(),
    await panel.getByRole("columnheader", { name: "Right" }).first().boundingBox(),
  ];
  expect((inner?.x ?? 0) + (inner?.width ?? 0)).toBeLessThanOrEqual(
    (outer?.x ?? 0) + (outer?.width ?? 0),
  );
});

test("the wheel over a graph within a page scrolls the page @S2-61", async ({ page }) => {
  await page.setViewportSize({ width: 1_280, height: 500 });
  await page.goto("/workflows/orders");
  const graph = page.getByTestId("graph");
  await graph.hover();
  // The page grows while its parts are read.
  await expect(async () => {
    await page.mouse.wheel(0, 2_000);
    await expect(graph).not.toBeInViewport({ timeout: 1_000 });
  }).toPass();
});

test("the slowest tasks show the duration of a run @S0-103", async ({ page, request }) => {
  const path = "/api/v1/workflows/orders/bottlenecks";
  const { nodes } = await (await request.get(path)).json();
  await page.goto("/workflows/orders");
  const list = page.getByRole("region", { name: "Slowest tasks of the last executions" });
  await expect(list.getByRole("listitem").first()).toContainText(`${nodes[0].id} usually`);
});

test("the grid begins at the newest execution @S0-160", async ({ page, request }) => {
  await page.setViewportSize({ width: 700, height: 700 });
  for (let each = 0; each < 30; each += 1) await start(request, "hello", { each });
  await page.goto("/visualization/grid?workflow=hello");
  const grid = page.getByRole("group", { name: "Grid" });
  await expect(grid.getByRole("columnheader").last()).toBeInViewport();
});

test("a task that was completed by hand shows no error any more @S0-101", async ({
  page,
  request,
}) => {
  const id = await start(request, "held-orders", SHOP.declined);
  const node = `/api/v1/executions/${id}/nodes/charge`;
  await expect
    .poll(async () => (await request.get(`/api/v1/executions/${id}/explain`)).text())
    .toContain("ON_HOLD");
  await page.goto(`/executions/${id}?node=charge`);
  const panel = page.getByRole("complementary", { name: "Task charge" });
  await expect(panel.getByRole("heading", { name: "CardDeclined" })).toBeVisible();
  await request.post(`${node}:complete`, { data: { output: {}, reason: "paid in cash" } });
  await reached(request, id, "completed");
  await expect(panel.getByRole("heading", { name: "CardDeclined" })).toBeHidden();
  await expect(panel.getByRole("heading", { name: "Why" })).toBeHidden();
});

test("a decision without a name is asked for one @S2-61", async ({ page, request }) => {
  const name = named("asks");
  const tasks = '[{id: grant, approval: {title: "Grant it?"}}]';
  await store(
    request,
    `apiVersion: workflow.io/v1\nkind: Workflow\nmetadata: {name: ${name}}\nspec: {tasks: ${tasks}}\n`,
  );
  const id = await start(request, name, {});
  await page.goto(`/approvals?chosen=${id}/grant`);
  const panel = page.getByRole("region", { name: "Decision" });
  await panel.getByLabel("Decide as").fill("");
  await panel.getByRole("button", { name: "Reject" }).click();
  await expect(panel.getByLabel("Decide as")).toHaveAccessibleDescription(/Who decides/);
  await panel.getByLabel("Decide as").fill("ann");
  await panel.getByRole("button", { name: "Reject" }).click();
  await reached(request, id, "failed");
});

test("the tree says how far a map is @S0-101", async ({ page }) => {
  await page.goto(`/executions/${seeded("map")}`);
  await expect(page.getByRole("treeitem", { name: /^each, .*40/ })).toHaveCount(1);
});

test("a workflow is run by a form of its input @S2-61", async ({ page, request }) => {
  // The statistics of a workflow that has never run are not there.
  expecting("404");
  const name = named("formed");
  const source = ORDER(name).replace("type: object\n", "type: object\n    required: [amount]\n");
  await store(request, source);
  await page.goto(`/workflows/${name}`);
  await page.getByRole("button", { name: "Run", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: `Run ${name}` });
  await expect(dialog.getByRole("button", { name: "Start" })).toBeDisabled();
  await dialog.getByLabel("Amount").fill("12");
  await dialog.getByRole("button", { name: "Start" }).click();
  await expect(page).toHaveURL(/\/executions\/exec-/);
  const id = page.url().split("/").at(-1)?.split("?")[0] ?? "";
  const started = await (await request.get(`/api/v1/executions/${id}`)).json();
  expect(started.input).toEqual({ amount: 12 });
  await page.keyboard.press("ControlOrMeta+k");
  await page.getByRole("combobox", { name: "Search or act" }).fill(name);
  await page.getByRole("option", { name: `Run ${name}` }).click();
  await expect(dialog).toBeVisible();
});

test("plain words find an order @S2-61", async ({ page }) => {
  await page.goto("/executions");
  const filter = page.getByRole("combobox", { name: "Filter" });
  await filter.fill("held-ord");
  await filter.press("Enter");
  await expect(page).toHaveURL(/any/);
  await expect(page.getByRole("link", { name: seeded("held") })).toBeVisible();
});

test("home tells what needs a person @S2-61", async ({ page }) => {
  await page.goto("/");
  const list = page
    .getByRole("region")
    .or(page.locator("section"))
    .filter({
      has: page.getByRole("heading", { name: "Needs attention" }),
    });
  await expect(list.getByRole("link", { name: /held-orders.*on hold/ })).toBeVisible();
  await expect(list.getByRole("link", { name: /Credit for Ada & Sons/ })).toBeVisible();
  await expect(list.getByRole("link", { name: /shop.unserved.*no worker/ })).toBeVisible();
  await list.getByRole("link", { name: /held-orders.*on hold/ }).click();
  await expect(page.getByRole("link", { name: seeded("held") })).toBeVisible();
});

test("the timeline draws the time on hold, and tells items apart @S0-104", async ({ page }) => {
  await page.goto(`/executions/${seeded("held")}?tab=timeline`);
  await expect(page.getByText("Bottleneck:")).toContainText("waited for a person for");
  // The second row is the held task: half way through the execution, only its hold is there.
  const colour = () =>
    page.getByTestId("timeline").evaluate((element) => {
      const canvas = element as HTMLCanvasElement;
      const scale = canvas.width / canvas.clientWidth;
      const place = [(190 + (canvas.clientWidth - 206) / 2) * scale, (26 + 26 + 13) * scale];
      const data = canvas.getContext("2d")?.getImageData(place[0] ?? 0, (place[1] ?? 0) - 4, 9, 9);
      const strongest = [...Array((data?.data.length ?? 0) / 4).keys()].map((pixel) => {
        const [red = 0, green = 0, blue = 0] = data?.data.slice(pixel * 4) ?? [];
        return Math.max(red, green, blue) - Math.min(red, green, blue);
      });
      return Math.max(...strongest);
    });
  await expect.poll(colour).toBeGreaterThan(60);
  await page.getByRole("button", { name: "As a table" }).click();
  const held = page.getByRole("row").filter({ has: page.getByRole("button", { name: "charge" }) });
  await expect(held.getByRole("cell").nth(4)).not.toHaveText("0 ms");
  await page.goto(`/executions/${seeded("map")}?tab=timeline`);
  await page.getByRole("button", { name: "As a table" }).click();
  await expect(page.getByRole("button", { name: "weigh [7]", exact: true })).toBeVisible();
});
