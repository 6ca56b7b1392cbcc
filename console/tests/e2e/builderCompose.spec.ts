import { readFileSync } from "node:fs";
import type { Page } from "@playwright/test";
import { parseAllDocuments } from "yaml";
import {
  add,
  blank,
  drag,
  edge,
  edit,
  expect,
  findings,
  named,
  ORDER,
  palette,
  save,
  stage,
  store,
  task,
  test,
  write,
  written,
} from "./builder";
import { clean, reached } from "./fixtures";

/** The workflow of the README, and the task beside it. */
const [WELCOME = "", GREET = ""] = readFileSync(
  "../examples/quickstart/welcome.yaml",
  "utf8",
).split("---\n");

async function definition(page: Page, name: string) {
  return (await (await page.request.get(`/api/v1/workflows/${name}`)).json()).definition;
}

test("the workflow of the README is built by mouse and forms, runs, and equals its text @S0-08 @S4-98", async ({
  page,
  request,
}) => {
  test.setTimeout(120_000);
  const [built, typed] = [named("built"), named("typed")];
  await store(request, GREET);
  await blank(page);
  await task(page, "start").click();
  await page.getByRole("button", { name: "Remove", exact: true }).click();
  await add(page, "transform");
  const active = page.getByRole("region", { name: "Task transform" });
  await active.getByRole("combobox", { name: /^Source/ }).fill("{{input.users}}");
  const pipeline = active.getByRole("group", { name: "Pipeline", exact: true });
  for (const [place, operation] of ["filter", "sort"].entries()) {
    await pipeline.getByRole("button", { name: "Add an item" }).last().click();
    await pipeline
      .getByRole("combobox", { name: `Form of Pipeline ${place + 1}` })
      .selectOption(operation);
  }
  const filter = pipeline.getByRole("group", { name: "filter" });
  await filter.getByLabel("Field").first().fill("active");
  await filter
    .getByLabel(/^Operator/)
    .first()
    .selectOption("eq");
  await filter
    .getByLabel(/^Value/)
    .first()
    .fill("true");
  const sort = pipeline.getByRole("group", { name: "sort" });
  await sort.getByLabel("Field").first().fill("name");
  await sort
    .getByLabel(/^Order/)
    .first()
    .selectOption("asc");
  const id = page.getByLabel("Id", { exact: true });
  await id.fill("active");
  await id.press("Enter");
  await expect(task(page, "active")).toBeVisible();
  await stage(page).click({ position: { x: 30, y: 30 } });
  await add(page, "greet");
  const greet = page.getByRole("region", { name: "Task greet" });
  await greet.getByRole("button", { name: /Users/ }).first().click();
  await greet.getByRole("combobox", { name: /^Users/ }).fill("{{tasks.active.output}}");
  await expect(edge(page, "active", "greet")).toBeAttached();
  await stage(page).click({ position: { x: 30, y: 30 } });
  const workflow = page.getByRole("region", { name: "Workflow", exact: true });
  await workflow.getByLabel("Name", { exact: true }).fill(built);
  const [{ spec }] = parseAllDocuments(WELCOME).map((each) => each.toJS());
  await workflow.getByLabel(/^Input Schema/).fill(JSON.stringify(spec.inputSchema));
  await workflow
    .getByLabel(/^Output/)
    .first()
    .fill(JSON.stringify(spec.output));
  await expect(findings(page)).not.toContainText("Not checked");
  await save(page, 1);
  await store(request, WELCOME.replace("name: welcome", `name: ${typed}`));
  const [mine, theirs] = [await definition(page, built), await definition(page, typed)];
  expect(mine.spec).toEqual(theirs.spec);
  await page.getByRole("tab", { name: "Run" }).click();
  await page
    .getByRole("group", { name: "Users" })
    .getByRole("button", { name: "Add an item" })
    .click();
  await page.getByLabel(/^Users 1/).fill('{"name": "Ada", "active": true}');
  await page.getByRole("button", { name: "Save and run" }).click();
  const link = page.getByRole("link", { name: /^Execution / });
  const execution = ((await link.textContent()) ?? "").replace("Execution ", "");
  await reached(request, execution, "completed");
  const { output } = await (await request.get(`/api/v1/executions/${execution}`)).json();
  expect(output).toEqual({ greetings: ["Hello Ada"] });
  await expect(task(page, "greet")).toHaveAttribute("data-family", "success");
});

test("the search under the pointer adds where it is opened @S1-98 @S1-99", async ({
  page,
  request,
}) => {
  const name = named("quick");
  await edit(page, request, name, ORDER(name));
  await expect(task(page, "ship")).toBeVisible();
  await stage(page).dblclick({ position: { x: 120, y: 120 } });
  const quick = page.getByRole("dialog", { name: "Add here" });
  await quick.getByRole("combobox").fill("delay");
  await expect(quick.getByRole("option").first()).toHaveText("delay");
  await clean(page);
  await quick.getByRole("combobox").press("Enter");
  await expect(task(page, "delay")).toBeVisible();
  await expect(quick).toHaveCount(0);
  expect(await written(page)).toMatch(/delay: \[-?\d+, -?\d+\]/);
  await stage(page).hover({ position: { x: 120, y: 260 } });
  await page.keyboard.press("i");
  await quick.getByRole("combobox").fill("noop");
  await quick.getByRole("combobox").press("Escape");
  await expect(quick).toHaveCount(0);
});

test("an edge that ends on nothing asks for the task that follows @S1-99", async ({
  page,
  request,
}) => {
  const name = named("follow");
  await edit(page, request, name, ORDER(name));
  await task(page, "ship").locator("[data-handle]").hover();
  await page.mouse.down();
  await stage(page).hover({ position: { x: 200, y: 90 }, force: true });
  await page.mouse.up();
  const quick = page.getByRole("dialog", { name: "Add here" });
  await quick.getByRole("combobox").fill("shop-quick");
  await quick.getByRole("option", { name: "shop-quick" }).click();
  await expect(edge(page, "ship", "shop-quick")).toBeAttached();
});

test("a template of the palette is added as a group by its form @S0-126 @S4-98", async ({
  page,
}) => {
  await blank(page);
  await palette(page).getByRole("searchbox").fill("reminder");
  await add(page, "reminder");
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("reminder");
  await dialog.getByRole("button", { name: "Back" }).click();
  await expect(dialog).toHaveCount(0);
  await add(page, "reminder");
  await dialog.getByLabel("Url").fill("https://example.com/remind");
  await dialog.getByRole("button", { name: "Use this template" }).click();
  await expect(task(page, "reminder")).toBeVisible();
  const source = await written(page);
  expect(source).toContain("group:");
  expect(source.match(/kind: Workflow$/gm)).toHaveLength(1);
});

test("the way of a saga back is drawn, and chosen by a field @S4-98", async ({ page, request }) => {
  const name = named("saga");
  await edit(page, request, name, ORDER(name));
  for (const id of ["reserve", "charge"]) {
    await task(page, id).click();
    await page.getByLabel("Undone by").selectOption("shop-quick");
  }
  await expect(stage(page).locator(`[data-undo='["charge","reserve"]']`)).toBeAttached();
  expect(await written(page)).toMatch(/undo: ?\n? *\{? *taskRef: shop-quick/);
  await expect(findings(page)).toContainText(/No findings|finding/);
  await task(page, "charge").click();
  await page.getByLabel("Undone by").selectOption("");
  await expect(stage(page).locator("[data-undo]")).toHaveCount(0);
});

test("a workflow of a file with several is edited and saved alone @S0-133", async ({
  page,
  request,
}) => {
  const [one, other] = [named("first"), named("second")];
  await store(request, `${ORDER(one)}---\n${ORDER(other).replaceAll("ship", "send")}`);
  await page.goto(`/workflows/${other}/edit`);
  await expect(task(page, "send")).toBeVisible();
  expect(await written(page)).not.toContain(one);
  await drag(page, "send", 0, 80);
  await save(page, 2);
  const kept = await (await request.get(`/api/v1/workflows/${one}`)).json();
  expect(kept.version).toBe(1);
});

test("lists are moved and doubled, and keys of maps are changed in place @S1-101", async ({
  page,
}) => {
  await blank(page);
  await add(page, "http.request");
  const panel = page.getByRole("region", { name: "Task http-request" });
  await panel.getByText(/optional fields/).click();
  const headers = panel.getByRole("group", { name: "Headers" }).first();
  await headers.getByRole("textbox", { name: "New key of Headers" }).fill("acept");
  await headers.getByRole("button", { name: "Add" }).click();
  await headers.getByRole("combobox", { name: "acept", exact: true }).fill("text/plain");
  const key = headers.getByRole("textbox", { name: "Key acept" });
  await key.fill("accept");
  await key.press("Enter");
  await expect.poll(() => written(page)).toMatch(/accept: "?text\/plain/);
  await page.getByRole("tab", { name: "Properties" }).click();
  await stage(page).click({ position: { x: 30, y: 30 } });
  await add(page, "transform");
  const pipeline = page.getByRole("group", { name: "Pipeline", exact: true });
  for (const operation of ["flatten", "sort"]) {
    await pipeline.getByRole("button", { name: "Add an item" }).last().click();
    await pipeline
      .getByRole("combobox", { name: /^Form of/ })
      .last()
      .selectOption(operation);
  }
  await pipeline.getByRole("button", { name: "Move item 1 down" }).click();
  await pipeline.getByRole("button", { name: "Duplicate item 1" }).click();
  const order = /sort[\s\S]*sort[\s\S]*flatten/;
  await expect.poll(() => written(page)).toMatch(order);
});

test("a secret in plain text is changed to a reference @S0-23", async ({ page }) => {
  await blank(page);
  const resource = `---
apiVersion: workflow.io/v1
kind: WorkflowTask
metadata: {name: pay}
spec:
  type: http
  timeout: 10s
  http:
    method: GET
    url: https://example.com/
    headers: {X-Api-Key: sk_live_51H8xJ2eZvKYlo2C0aQ}
`;
  await write(page, ORDER(named("secret")).replace("taskRef: noop", "taskRef: pay") + resource);
  // Warnings are folded.
  await findings(page).getByRole("button", { name: "Show" }).click();
  const finding = findings(page).getByRole("listitem").filter({ hasText: "LINT_SECRET" });
  await finding.getByRole("button", { name: "Refer to the secret x-api-key" }).click();
  await expect(finding).toHaveCount(0);
  expect(await written(page)).toContain("secret://x-api-key");
});

test("the output of a task is assumed in a dry run @S0-23", async ({ page, request }) => {
  const name = named("mocked");
  const source = ORDER(name).replace(
    "id: charge   # the bank\n      taskRef: noop",
    "id: charge\n      taskRef: shop-charge",
  );
  await edit(page, request, name, `${source}  output: {paid: "{{tasks.charge.output.paid}}"}\n`);
  await page.getByRole("tab", { name: "Run" }).click();
  const mocks = page.getByRole("group", { name: "Outputs to assume for tasks" }).first();
  await mocks.getByPlaceholder("New key").fill("charge");
  await mocks.getByRole("button", { name: "Add" }).click();
  await mocks.getByRole("textbox", { name: /^charge/ }).fill('{"paid": 77}');
  await page.getByRole("button", { name: "Dry run", exact: true }).click();
  const report = page.getByRole("region", { name: "Report" });
  await expect(report).toContainText('{"paid":77}');
  await expect(report).toContainText("output assumed");
});

test("the list of workflows has runs, rates and triggers, and leads to their parts @S3-124", async ({
  page,
}) => {
  await page.goto("/workflows");
  const row = page.getByRole("row").filter({ hasText: "settlement" });
  await expect(row.getByRole("cell").nth(5)).toHaveText("3");
  const orders = page
    .getByRole("row")
    .filter({ has: page.getByRole("link", { name: "orders", exact: true }) });
  await expect(orders.getByRole("cell").nth(3)).toContainText("%");
  await orders.getByRole("button", { name: /last \d+ executions/i }).click();
  await expect(page.getByRole("menuitem", { name: /exec-/ }).first()).toBeVisible();
  await page.keyboard.press("Escape");
  await page.getByRole("link", { name: "Templates" }).click();
  await expect(page.getByRole("heading", { name: "Templates" })).toBeVisible();
  await page.goto("/workflows");
  await page.getByRole("button", { name: "New workflow" }).click();
  await expect(page.getByRole("button", { name: "Blank workflow" })).toBeVisible();
});

test("tests of a draft run from the page, and say what differs @S0-23", async ({
  page,
  request,
}) => {
  const name = named("tested");
  await edit(page, request, name, ORDER(name));
  await page.getByRole("tab", { name: "Tests" }).click();
  await page.getByRole("button", { name: "Run the tests" }).click();
  const results = page.getByRole("region", { name: "Results" });
  await expect(results).toContainText("1 passed, 0 failed");
  await expect(results).toContainText("100 %");
  await page
    .getByLabel("Tests of this draft")
    .fill("tests:\n  - name: it stops\n    expect: {path: [reserve]}\n");
  await page.getByRole("button", { name: "Run the tests" }).click();
  await expect(results).toContainText("0 passed, 1 failed");
  await expect(results).toContainText("path");
  await page.getByLabel("Tests of this draft").fill("tests:\n  - nam: it stops\n");
  await page.getByRole("button", { name: "Run the tests" }).click();
  await expect(results).toContainText("The tests cannot be read");
  await clean(page);
});
