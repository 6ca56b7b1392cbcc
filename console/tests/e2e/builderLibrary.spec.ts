import {
  add,
  blank,
  edit,
  expect,
  findings,
  named,
  ORDER,
  save,
  sourceOf,
  store,
  task,
  test,
  text,
  write,
  written,
} from "./builder";
import { clean, expecting } from "./fixtures";

test("a workflow begins from a template by its form @S0-126", async ({ page, request }) => {
  const name = named("made");
  const template = `apiVersion: workflow.io/v1
kind: WorkflowTemplate
metadata: {name: ${name}-template}
spec:
  description: Waits for a while.
  parameters:
    type: object
    required: [pause]
    properties:
      pause: {type: string, description: The time to wait}
  resources:
    - apiVersion: workflow.io/v1
      kind: Workflow
      metadata: {name: "\${{ name }}"}
      spec:
        tasks:
          - {id: wait, taskRef: delay, input: {duration: "\${{ param.pause }}"}}
`;
  await store(request, template);
  await page.goto("/templates");
  await page.getByRole("link", { name: `Use ${name}-template` }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name of the workflow").fill(name);
  await dialog.getByLabel("Pause").fill("10ms");
  await dialog.getByRole("button", { name: "Use this template" }).click();
  await expect(task(page, "wait")).toBeVisible();
  await save(page, 1);
  expect(await sourceOf(request, name)).toContain("10ms");
});

test("a dry run shows its path on the canvas, with mocks and up to a task @S0-23", async ({
  page,
  request,
}) => {
  const name = named("dry");
  await edit(page, request, name, `${ORDER(name)}  output: {paid: "{{tasks.charge.output}}"}\n`);
  await task(page, "charge").click();
  await page.getByRole("tab", { name: "Run" }).click();
  await page.getByLabel("Amount (optional)").fill("12");
  await page.getByRole("button", { name: "Dry run", exact: true }).click();
  await expect(page.getByRole("region", { name: "Report" })).toBeVisible();
  await expect(task(page, "ship")).toHaveAttribute("data-family", "success");
  await page.getByRole("button", { name: "Dry run up to charge" }).click();
  await expect(task(page, "ship")).not.toHaveAttribute("data-family", "success");
  await expect(task(page, "charge")).toHaveAttribute("data-family", "success");
});

test("a text is imported in any format, and a broken one is refused with its line @S1-105", async ({
  page,
}) => {
  expecting("400");
  await page.goto("/workflows/new");
  await page.getByRole("button", { name: "Import" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Or its text").fill("apiVersion: workflow.io/v1\nkind: [");
  await dialog.getByRole("button", { name: "Import", exact: true }).click();
  await expect(dialog.getByRole("alert")).toContainText(/^\d+: this is not YAML/);
  const steps = {
    id: named("steps"),
    name: "S",
    steps: [{ id: "one", name: "One", action: "delay", params: { duration: 5 } }],
  };
  await dialog.getByLabel("File").setInputFiles({
    name: "steps.json",
    mimeType: "application/json",
    buffer: Buffer.from(JSON.stringify(steps)),
  });
  await dialog.getByRole("button", { name: "Import", exact: true }).click();
  await expect(task(page, "one")).toBeVisible();
});

test("a draft is exported in every format @S1-105", async ({ page }) => {
  const name = named("export");
  await blank(page);
  await write(
    page,
    `apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: ${name}}
spec:
  tasks:
    - {id: wait, taskRef: delay, input: {duration: 1s}}
`,
  );
  await expect(findings(page)).toContainText("No findings");
  for (const [format, end] of [
    ["YAML", ".yaml"],
    ["Python", ".py"],
    ["graph JSON", ".graph.json"],
  ] as const) {
    await page.getByRole("button", { name: "More" }).click();
    const [file] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("menuitem", { name: `Export as ${format}` }).click(),
    ]);
    expect(file.suggestedFilename()).toBe(name + end);
  }
});

test("a workflow shows its versions, differences, labels and tasks @S0-16", async ({
  page,
  request,
}) => {
  // No execution of it has ended, so there are no slowest tasks.
  expecting("404");
  const name = named("detail");
  await store(request, ORDER(name));
  await store(
    request,
    ORDER(name).replace("id: ship, taskRef: noop", "id: ship, taskRef: shop-quick"),
  );
  await page.goto(`/workflows/${name}`);
  const versions = page.getByRole("region", { name: "Versions" });
  await expect(versions).toContainText("Version 2");
  await expect(versions.getByRole("region", { name: "Changes" })).toContainText("shop-quick");
  const labels = page.getByRole("region", { name: "Labels" });
  await labels.getByLabel("Label", { exact: true }).fill("stable");
  await labels.getByLabel("Version of the label").fill("1");
  await labels.getByRole("button", { name: "Set the label" }).click();
  await expect(labels).toContainText("stable stands for version 1");
  await labels.getByLabel("Version of the label").fill("2");
  await expect(labels.getByRole("status")).toContainText("From version 1 to 2:");
  await labels.getByRole("button", { name: "Move stable to version 2" }).click();
  await expect(labels).toContainText("stable stands for version 2");
  await clean(page);
  await page
    .getByRole("region", { name: "Used tasks" })
    .getByRole("link", { name: "shop-quick" })
    .click();
  await expect(page.getByRole("complementary", { name: "shop-quick" })).toContainText(name);
  await clean(page);
});

test("a workflow shows the services that its tasks call @S0-16", async ({ page, request }) => {
  // No execution of them may have ended, so there are no slowest tasks.
  expecting("404");
  await page.goto("/workflows/settlement");
  const called = page.getByRole("region", { name: "Called services", exact: true }).first();
  const picture = called.getByRole("group", { name: "Topology" });
  await expect(picture.getByRole("button", { name: "https://bank.example" })).toBeVisible();
  await expect(picture.getByRole("button", { name: "settlement", exact: true })).toBeVisible();
  await expect(picture.getByRole("link", { name: /orchestrator/ })).toContainText("Healthy");
  await expect(called.getByRole("row").filter({ hasText: "bank.example" })).toContainText("HTTP");
  const name = named("alone");
  await store(request, ORDER(name));
  await page.goto(`/workflows/${name}`);
  await expect(
    page.getByRole("region", { name: "Called services" }).getByText("call no other service"),
  ).toBeVisible();
  await clean(page);
});

test("a change of a task has a verdict on each workflow that uses it @S0-133", async ({
  page,
  request,
}) => {
  const name = named("impact");
  const own = `${name}-task`;
  const resource = (properties: string) =>
    `apiVersion: workflow.io/v1\nkind: WorkflowTask\nmetadata: {name: ${own}}\nspec:\n  type: greet\n  timeout: 10s\n  outputSchema: {type: object, properties: {${properties}}, required: [total], additionalProperties: false}\n`;
  await store(request, resource("total: {type: integer}"));
  const ship = ORDER(name).replace("id: ship, taskRef: noop", `id: ship, taskRef: ${own}`);
  await store(request, `${ship}  output: {sum: "{{ tasks.ship.output.total }}"}\n`);
  await store(
    request,
    ORDER(`${name}-pinned`).replace("id: ship, taskRef: noop", `id: ship, taskRef: ${own}@1`),
  );
  await page.goto(`/tasks?chosen=${own}`);
  const panel = page.getByRole("complementary", { name: own });
  await panel.getByText("Change the task").click();
  const text = panel.getByLabel("Definition as JSON");
  const before = await text.inputValue();
  await text.fill(before.replaceAll("total", "amount"));
  await panel.getByRole("button", { name: "Check the change" }).click();
  const verdict = panel.getByRole("status");
  await expect(verdict).toContainText("1 workflow would break.");
  await expect(verdict.getByRole("listitem").first()).toContainText(name);
  await expect(verdict).toContainText("total");
  await expect(verdict).toContainText("stays at version 1 of the task");
  await expect(panel.getByRole("button", { name: "Store a new version" })).toHaveCount(0);
  await text.fill(before.replace("10s", "20s"));
  await panel.getByRole("button", { name: "Check the change" }).click();
  await expect(verdict).toContainText("No workflow would break.");
  await expect(verdict).toContainText("takes the change with its next start");
  await panel.getByLabel("Reason").fill("it is slow at night");
  await panel.getByRole("button", { name: "Store a new version" }).click();
  await expect
    .poll(async () => (await (await request.get(`/api/v1/tasks/${own}`)).json()).version)
    .toBe(2);
  await expect(page.getByRole("row").filter({ hasText: own })).toContainText("2");
  await clean(page);
});

test("a workflow is found in the list and opened in the builder @S0-133", async ({
  page,
  request,
}) => {
  const name = named("listed");
  await store(request, ORDER(name));
  await page.goto("/workflows");
  const search = page.getByRole("searchbox");
  await search.fill(name);
  await search.press("Enter");
  await page.getByRole("row").filter({ hasText: name }).getByRole("link", { name: "Edit" }).click();
  await expect(task(page, "ship")).toBeVisible();
});

test("a task that was deleted since is named where it was used @S0-23", async ({
  page,
  request,
}) => {
  const name = named("gone");
  const own = `${name}-task`;
  const resource = `---\napiVersion: workflow.io/v1\nkind: WorkflowTask\nmetadata: {name: ${own}}\nspec: {type: greet, timeout: 10s}\n`;
  await store(request, resource.slice(4));
  await blank(page);
  await write(page, ORDER(name).replace("id: ship, taskRef: noop", `id: ship, taskRef: ${own}`));
  await expect(findings(page)).toContainText("No findings");
  expect((await request.delete(`/api/v1/tasks/${own}`)).ok()).toBe(true);
  await text(page).click();
  await page.keyboard.press("ControlOrMeta+End");
  await page.keyboard.type("# again");
  await expect(findings(page).getByRole("listitem").first()).toContainText(own);
  await expect(task(page, "ship")).toHaveAttribute("data-findings", "error");
});

test("ten thousand tasks open as text, with a sentence @S0-133", async ({ page }) => {
  const many = Array.from(
    { length: 10_000 },
    (_, place) =>
      `    - id: task-${place}\n      taskRef: noop\n      name: The task with the number ${place}\n`,
  );
  const head = `apiVersion: workflow.io/v1\nkind: Workflow\nmetadata: {name: ${named("many")}}\nspec:\n  tasks:\n`;
  await page.goto("/workflows/new");
  await page.getByRole("button", { name: "Import" }).click();
  await page
    .getByRole("dialog")
    .getByLabel("File")
    .setInputFiles({
      name: "many.yaml",
      mimeType: "application/yaml",
      buffer: Buffer.from(head + many.join("")),
    });
  await page.getByRole("dialog").getByRole("button", { name: "Import", exact: true }).click();
  await expect(page.getByText("This text is too large for the canvas")).toBeVisible();
  await expect(text(page)).toContainText("task-0");
  await add(page, "delay");
  await expect(findings(page).getByRole("alert")).toContainText("too large");
  expect(await written(page)).not.toContain("taskRef: delay");
});
