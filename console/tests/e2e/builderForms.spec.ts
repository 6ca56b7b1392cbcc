import {
  add,
  blank,
  complete,
  edge,
  edit,
  expect,
  findings,
  named,
  ORDER,
  save,
  stage,
  task,
  test,
  text,
  write,
  written,
} from "./builder";
import { clean } from "./fixtures";

test("a task has a form of its schema, whose edits are minimal @S1-100", async ({
  page,
  request,
}) => {
  const name = named("form");
  await edit(page, request, name, ORDER(name));
  await task(page, "charge").click();
  const panel = page.getByRole("region", { name: "Task charge" });
  await panel.getByText("More properties").click();
  const timeout = panel.getByRole("combobox", {
    name: "Timeout (optional)",
    exact: true,
  });
  await expect(timeout).toHaveAttribute("placeholder", /\b30s\b/);
  await panel.getByLabel("Name (optional)").fill("Charge the card");
  await expect(task(page, "charge")).toContainText("Charge the card");
  await panel
    .getByRole("combobox", { name: "On Failure (optional)" })
    .selectOption("Continue without its result (CONTINUE)");
  await panel.getByLabel("Name (optional)").fill("");
  const source = await written(page);
  expect(source).toBe(
    ORDER(name).replace(
      "      dependsOn: [reserve]\n",
      "      dependsOn: [reserve]\n      onFailure: CONTINUE\n",
    ),
  );
});

test("forms edit lists and maps, nested ones too @S1-101", async ({ page }) => {
  await blank(page);
  await add(page, "http.request");
  const panel = page.getByRole("region", { name: "Task http-request" });
  await expect(panel).toBeVisible();
  await panel.getByText(/optional fields/).click();
  const headers = panel.getByRole("group", { name: "Headers" }).first();
  await headers.getByRole("textbox", { name: "New key of Headers" }).fill("accept");
  await headers.getByRole("button", { name: "Add" }).click();
  await headers.getByRole("combobox", { name: "accept" }).fill("text/plain");
  await expect.poll(() => written(page)).toMatch(/accept: "?text\/plain/);
  await page.getByRole("tab", { name: "Properties" }).click();
  await headers.getByRole("button", { name: "Remove accept" }).click();
  await expect.poll(() => written(page)).not.toContain("accept");
});

test("a new id is written wherever the task is referred to @S1-100", async ({ page, request }) => {
  const name = named("rename");
  await edit(
    page,
    request,
    name,
    `${ORDER(name)}  output: {receipt: "{{tasks.charge.output.receipt}}"}\n`,
  );
  await task(page, "charge").click();
  const id = page.getByLabel("Id", { exact: true });
  await id.fill("pay");
  await id.press("Enter");
  await expect(task(page, "pay")).toBeVisible();
  await expect(edge(page, "pay", "ship")).toBeAttached();
  const source = await written(page);
  expect(source).toContain("- id: pay   # the bank");
  expect(source).toContain("{{tasks.pay.output.receipt}}");
  await page.getByRole("tab", { name: "Properties" }).click();
  await id.fill("ship");
  await id.press("Enter");
  await expect(findings(page).getByRole("alert")).toContainText("ship is the id of another task");
});

test("templates are completed by what runs before, with its type @S1-100", async ({
  page,
  request,
}) => {
  const name = named("complete");
  await edit(page, request, name, ORDER(name));
  await text(page).click();
  await page.getByText("{id: ship, taskRef: noop", { exact: false }).first().click();
  await page.keyboard.press("End");
  await page.keyboard.press("Enter");
  await page.keyboard.type("# {{am");
  await page.keyboard.press("Control+Space");
  const list = page.getByRole("listbox");
  await expect(list.getByRole("option", { name: /input\.amount/ })).toContainText("number");
});

test("members and values are completed from the schema @S1-100", async ({ page, request }) => {
  const name = named("members");
  await edit(page, request, name, ORDER(name));
  await text(page).click();
  await page.keyboard.press("ControlOrMeta+End");
  await page.keyboard.type("  para");
  await page.keyboard.press("Control+Space");
  await complete(page, "parallelism");
  await expect.poll(() => written(page)).toContain("  parallelism: ");
});

test("findings stand at their places, and a quick fix mends one @S0-23", async ({ page }) => {
  const name = named("findings");
  await blank(page);
  await write(page, ORDER(name).replace("    - id: charge", "    - timeot: 3s\n      id: charge"));
  const finding = findings(page).getByRole("listitem").filter({ hasText: "timeot" });
  await expect(finding).toContainText("timeout");
  await expect(task(page, "charge")).toHaveAttribute("data-findings", "error");
  await expect(text(page).locator(".cm-lintRange-error").first()).toBeVisible();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByRole("dialog").getByRole("alert")).toContainText("1 error");
  await expect(page.getByRole("button", { name: "Save as a new workflow" })).toBeDisabled();
  await page.keyboard.press("Escape");
  await finding.getByRole("button", { name: "Change to timeout" }).click();
  await expect(findings(page)).toContainText("No findings");
  expect(await written(page)).toContain("    - timeout: 3s");
});

test("a finding leads to its place by F8 and by a click @S0-23", async ({ page }) => {
  await blank(page);
  await write(
    page,
    ORDER(named("places")).replace(
      "taskRef: noop\n      dependsOn",
      "taskRef: no such\n      dependsOn",
    ),
  );
  const finding = findings(page).getByRole("listitem").first().getByRole("button").first();
  await finding.click();
  await expect(text(page)).toBeFocused();
  await expect(task(page, "charge")).toHaveAttribute("aria-pressed", "true");
  await page.getByRole("tab", { name: "Properties" }).click();
  await stage(page).click({ position: { x: 5, y: 300 } });
  await expect(task(page, "charge")).toHaveAttribute("aria-pressed", "false");
  await page.keyboard.press("F8");
  await expect(text(page)).toBeFocused();
  await expect(task(page, "charge")).toHaveAttribute("aria-pressed", "true");
  await page.getByRole("tab", { name: "Properties" }).click();
  await page.getByRole("button", { name: "Show in the text" }).click();
  await expect(text(page)).toBeFocused();
});

test("tasks are put into a group with the edges around it @S4-98", async ({ page, request }) => {
  const name = named("group");
  await edit(page, request, name, ORDER(name));
  await task(page, "reserve").click();
  await task(page, "charge").click({ modifiers: ["Shift"] });
  await page.getByRole("button", { name: "Put into a Group" }).click();
  await expect(task(page, "group")).toBeVisible();
  await expect(edge(page, "group", "ship")).toBeAttached();
  await expect(findings(page)).toContainText("No findings");
  await save(page, 2);
});

test("the builder breaks no rule of accessibility in either theme @S1-97", async ({
  page,
  request,
}) => {
  const name = named("clean");
  await edit(page, request, name, ORDER(name));
  await task(page, "charge").click();
  await expect(page.getByRole("region", { name: "Task charge" })).toBeVisible();
  await clean(page);
});

test("the start of the builder breaks no rule of accessibility @S1-97", async ({ page }) => {
  await page.goto("/workflows/new");
  await expect(page.getByRole("heading", { name: "New workflow" })).toBeVisible();
  await clean(page);
});
