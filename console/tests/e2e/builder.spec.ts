import {
  add,
  blank,
  drag,
  draw,
  edge,
  edit,
  expect,
  findings,
  named,
  ORDER,
  palette,
  save,
  sourceOf,
  stage,
  state,
  store,
  task,
  test,
  text,
  write,
  written,
} from "./builder";
import { reached } from "./fixtures";

test("a text is typed, drawn, checked, saved and run @S0-08 @S0-133", async ({ page, request }) => {
  const name = named("typed");
  await blank(page);
  await write(page, ORDER(name));
  await expect(task(page, "ship")).toBeVisible();
  await expect(edge(page, "charge", "ship")).toBeAttached();
  await expect(findings(page)).toContainText("No findings");
  await expect(state(page)).toHaveText("Draft kept here");
  await save(page, 1);
  await expect(page).toHaveURL(new RegExp(`/workflows/${name}/edit`));
  expect(await sourceOf(request, name)).toBe(ORDER(name));
  await page.getByRole("tab", { name: "Run" }).click();
  await page.getByRole("button", { name: "Save and run" }).click();
  const link = page.getByRole("link", { name: /^Execution / });
  const id = ((await link.textContent()) ?? "").replace("Execution ", "");
  await reached(request, id, "completed");
  await expect(task(page, "ship")).toHaveAttribute("data-family", "success");
});

test("a workflow is built and run with the mouse alone, as if it was typed @S0-08 @S4-98", async ({
  page,
  request,
}) => {
  await blank(page);
  await add(page, "shop-charge");
  await add(page, "shop-quick");
  await expect(edge(page, "shop-charge", "shop-quick")).toBeAttached();
  await draw(page, "start", "shop-charge");
  await expect(edge(page, "start", "shop-charge")).toBeAttached();
  const typed = `apiVersion: workflow.io/v1
kind: Workflow
metadata:
  name: new-workflow
spec:
  tasks:
    - id: start
      taskRef: noop
    - id: shop-charge
      taskRef: shop-charge
      dependsOn: [start]
    - id: shop-quick
      taskRef: shop-quick
      dependsOn: [shop-charge]
`;
  expect(await written(page)).toBe(typed);
  await request.delete("/api/v1/workflows/new-workflow");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await page.getByRole("button", { name: "Save and run" }).click();
  await page.getByRole("button", { name: /^Save as/ }).click();
  const link = page.getByRole("link", { name: /^Execution / });
  const id = ((await link.textContent()) ?? "").replace("Execution ", "");
  await reached(request, id, "completed");
  await expect(task(page, "shop-quick")).toHaveAttribute("data-family", "success");
});

test("a moved task changes nothing but its position, which is kept @S3-60", async ({
  page,
  request,
}) => {
  const name = named("moved");
  await edit(page, request, name, ORDER(name));
  await drag(page, "charge", 30, 90);
  await save(page, 2);
  const stored = await sourceOf(request, name);
  const [before = "", after = ""] = ORDER(name).split("spec:");
  expect(stored.startsWith(before)).toBe(true);
  expect(stored.endsWith(after)).toBe(true);
  expect(stored.slice(before.length)).toMatch(
    /^ {2}annotations:\n {4}flowmesh\.io\/layout:\n {6}charge: \[\d+, \d+\]\nspec:/,
  );
  const place = await task(page, "charge").getAttribute("style");
  await page.reload();
  await expect(task(page, "charge")).toHaveAttribute("style", place ?? "");
});

test("one history undoes the canvas and the typing @S0-133", async ({ page }) => {
  await blank(page);
  await add(page, "delay");
  await expect(task(page, "delay")).toBeVisible();
  await page.getByRole("tab", { name: "Text" }).click();
  await text(page).click();
  await page.keyboard.press("ControlOrMeta+End");
  await page.keyboard.insertText("# typed");
  await drag(page, "start", 0, 120);
  await text(page).focus();
  await page.keyboard.press("ControlOrMeta+z");
  expect(await written(page)).not.toContain("flowmesh.io/layout");
  await text(page).focus();
  await page.keyboard.press("ControlOrMeta+z");
  expect(await written(page)).not.toContain("# typed");
  await text(page).focus();
  await page.keyboard.press("ControlOrMeta+z");
  await expect(task(page, "delay")).toHaveCount(0);
  for (let step = 0; step < 3; step += 1) await page.keyboard.press("ControlOrMeta+Shift+Z");
  await expect(task(page, "delay")).toBeVisible();
  expect(await written(page)).toContain("# typed");
});

test("a text with a fault greys the canvas, which accepts no edit until it is mended @S0-23", async ({
  page,
}) => {
  const name = named("faulty");
  await blank(page);
  await write(page, ORDER(name));
  await expect(task(page, "charge")).toBeVisible();
  await write(page, ORDER(name).replace("dependsOn: [reserve]", "dependsOn: [reserve"));
  await expect(stage(page)).toHaveAttribute("data-stale", "true");
  await expect(task(page, "charge")).toBeVisible();
  await expect(findings(page).getByRole("alert")).toContainText(/^Line 1\d, column \d+/);
  await task(page, "charge").focus();
  await page.keyboard.press("Delete");
  await expect(findings(page)).toContainText("fault of syntax");
  await expect(task(page, "charge")).toBeVisible();
  await write(page, ORDER(name));
  await expect(stage(page)).not.toHaveAttribute("data-stale", "true");
});

test("an edge that closes a circle is refused with the path @S1-108", async ({ page, request }) => {
  const name = named("circle");
  await edit(page, request, name, ORDER(name));
  await draw(page, "ship", "reserve");
  await expect(findings(page).getByRole("alert")).toContainText(
    "would close a circle: ship → reserve → charge → ship",
  );
  await expect(edge(page, "ship", "reserve")).toHaveCount(0);
  await draw(page, "reserve", "charge");
  await expect(findings(page).getByRole("alert")).toContainText("charge already waits for reserve");
  await draw(page, "reserve", "ship");
  await expect(edge(page, "reserve", "ship")).toBeAttached();
  await expect(findings(page).getByRole("alert")).toHaveCount(0);
});

test("an edge has an outcome, and is removed @S4-98", async ({ page, request }) => {
  const name = named("edges");
  await edit(page, request, name, ORDER(name));
  await edge(page, "charge", "ship").getByRole("button").press("Enter");
  await page.getByLabel("Taken on").selectOption("failure");
  await expect(edge(page, "charge", "ship")).toHaveAttribute("data-kind", "failure");
  expect(await written(page)).toContain("dependsOn: [{task: charge, on: failure}]");
  await page.getByRole("tab", { name: "Properties" }).click();
  await page.getByRole("button", { name: "Remove the edge" }).click();
  await expect(edge(page, "charge", "ship")).toHaveCount(0);
  expect(await written(page)).toContain("{id: ship, taskRef: noop}");
});

test("the palette is searched, and adds by Enter and by drag onto an edge @S1-98 @S1-99", async ({
  page,
  request,
}) => {
  const name = named("palette");
  await edit(page, request, name, ORDER(name));
  const search = palette(page).getByRole("searchbox");
  await search.fill("http");
  await expect(palette(page).getByRole("listitem").first()).toHaveText("http.request");
  await search.press("Enter");
  await expect(task(page, "http-request")).toBeVisible();
  expect(await written(page)).toContain("kind: WorkflowTask");
  await search.fill("no such thing");
  await expect(palette(page)).toContainText("Nothing to add is named no such thing");
  await search.fill("delay");
  const line = await edge(page, "reserve", "charge").locator("path").first().boundingBox();
  if (!line) throw new Error("the edge is not drawn");
  const box = await stage(page).boundingBox();
  await palette(page)
    .getByRole("button", { name: "delay" })
    .first()
    .dragTo(stage(page), {
      targetPosition: {
        x: line.x - (box?.x ?? 0) + line.width / 2,
        y: line.y - (box?.y ?? 0) + line.height / 2,
      },
    });
  await expect(edge(page, "reserve", "delay")).toBeAttached();
  await expect(edge(page, "delay", "charge")).toBeAttached();
  await expect(edge(page, "reserve", "charge")).toHaveCount(0);
});

test("panels fold away and keep their width @S1-107", async ({ page }) => {
  await blank(page);
  await page.keyboard.press("ControlOrMeta+b");
  await expect(palette(page)).toHaveCount(0);
  await page.keyboard.press("ControlOrMeta+b");
  await expect(palette(page)).toBeVisible();
  const splitter = page.getByRole("separator", { name: "Width of the panel" });
  const before = Number(await splitter.getAttribute("aria-valuenow"));
  await splitter.press("ArrowLeft");
  await page.reload();
  await expect(splitter).toHaveAttribute("aria-valuenow", String(before + 24));
});

test("the canvas lays itself out, and forgets moved places in one step @S1-106", async ({
  page,
  request,
}) => {
  const name = named("tidy");
  await edit(page, request, name, ORDER(name));
  const before = await task(page, "ship").getAttribute("style");
  await drag(page, "ship", -60, 140);
  await expect(task(page, "ship")).not.toHaveAttribute("style", before ?? "");
  await stage(page).getByRole("button", { name: "Tidy up" }).click();
  await expect(task(page, "ship")).toHaveAttribute("style", before ?? "");
  expect(`${await written(page)}`).toBe(ORDER(name));
});

test("a body is opened, edited within, and left @S4-98", async ({ page }) => {
  await blank(page);
  await add(page, "Map");
  await task(page, "map").focus();
  await page.keyboard.press("o");
  await expect(task(page, "step")).toBeVisible();
  await add(page, "noop");
  await expect(task(page, "noop")).toBeVisible();
  await draw(page, "step", "noop");
  await page
    .getByRole("navigation", { name: "Enclosing tasks" })
    .getByRole("button")
    .first()
    .click();
  await expect(task(page, "map")).toBeVisible();
  expect(await written(page)).toContain("            dependsOn: [step]");
});

test("a workflow is composed by keyboard alone @S0-08", async ({ page }) => {
  await blank(page);
  await page.keyboard.press("a");
  await page.keyboard.type("delay");
  await page.keyboard.press("Enter");
  await expect(task(page, "delay")).toBeVisible();
  await task(page, "start").focus();
  await page.keyboard.press("c");
  await expect(stage(page).getByRole("status")).toContainText("after start");
  await page.keyboard.press("Tab");
  await task(page, "delay").focus();
  await page.keyboard.press("Enter");
  await expect(edge(page, "start", "delay")).toBeAttached();
  await page.keyboard.press("ArrowLeft");
  await expect(task(page, "start")).toBeFocused();
  await page.keyboard.press("Alt+ArrowDown");
  expect(await written(page)).toContain("start: [0, 20]");
  await task(page, "delay").focus();
  await page.keyboard.press("Delete");
  await expect(task(page, "delay")).toHaveCount(0);
});

test("tasks of other formats are drawn and moved, and converted to be edited @S1-105 @S3-60", async ({
  page,
  request,
}) => {
  const name = named("steps");
  const steps = {
    id: name,
    name: "Steps",
    steps: [
      { id: "wait", name: "Wait", action: "delay", params: { duration: 10 } },
      { id: "after", name: "After", action: "delay", params: { duration: 10 } },
    ],
  };
  await store(request, JSON.stringify(steps, undefined, 2), "application/json");
  await page.goto(`/workflows/${name}/edit`);
  await expect(task(page, "after")).toBeVisible();
  await drag(page, "after", 0, 80);
  await save(page, 2);
  const stored = JSON.parse(await sourceOf(request, name));
  expect(stored).toEqual({
    ...steps,
    metadata: { "flowmesh.io/layout": { after: [expect.any(Number), expect.any(Number)] } },
  });
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Convert to YAML" }).click();
  await expect.poll(() => written(page)).toContain("kind: Workflow");
  await expect(task(page, "after")).toBeVisible();
});
