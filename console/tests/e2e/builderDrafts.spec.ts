import {
  add,
  blank,
  drag,
  edit,
  expect,
  findings,
  named,
  ORDER,
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
import { expecting } from "./fixtures";

test("a reload brings back what was typed @S0-133", async ({ page }) => {
  await blank(page);
  await write(page, ORDER(named("reload")));
  await expect(task(page, "ship")).toBeVisible();
  await page.reload();
  expect(await written(page)).toContain("# The order of a shop.");
  await expect(state(page)).toHaveText("Draft kept here");
});

test("a draft of a closed tab is found again, with its changes @S0-133", async ({
  page,
  context,
  request,
}) => {
  const name = named("closed");
  await edit(page, request, name, ORDER(name));
  await add(page, "delay");
  await expect(task(page, "delay")).toBeVisible();
  await expect(state(page)).toHaveText("Draft kept here");
  await page.close({ runBeforeUnload: false });
  const next = await context.newPage();
  await next.goto(`/workflows/${name}/edit`);
  await expect(next.getByRole("status").filter({ hasText: "found again" })).toBeVisible();
  await expect(task(next, "delay")).toBeVisible();
  await next.getByRole("button", { name: "Show the changes" }).click();
  await expect(next.getByRole("region", { name: "Changes" })).toContainText("taskRef: delay");
  await next.getByRole("dialog").getByRole("button", { name: "Close" }).click();
  await next.getByRole("button", { name: "Discard" }).click();
  await expect(task(next, "delay")).toHaveCount(0);
  await expect(state(next)).toHaveText("Saved as version 1");
});

test("a draft of a crashed tab is found again @S0-133", async ({ context, request }) => {
  const name = named("crashed");
  const page = await context.newPage();
  await edit(page, request, name, ORDER(name));
  await add(page, "delay");
  await expect(task(page, "delay")).toBeVisible();
  await page.goto("chrome://crash").catch(() => {});
  const next = await context.newPage();
  await next.goto(`/workflows/${name}/edit`);
  await expect(task(next, "delay")).toBeVisible();
});

test("two tabs have drafts of their own, and see each other's versions @S0-133", async ({
  page,
  context,
  request,
}) => {
  const name = named("tabs");
  await edit(page, request, name, ORDER(name));
  await add(page, "delay");
  const other = await context.newPage();
  await other.goto(`/workflows/${name}/edit`);
  await expect(task(other, "ship")).toBeVisible();
  await expect(task(other, "delay")).toHaveCount(0);
  await other.goto(page.url());
  await expect(task(other, "delay")).toBeVisible();
  expect(other.url()).not.toBe(page.url());
  await save(page, 2);
  await expect(
    other.getByRole("status").filter({ hasText: "Version 2 has been stored" }),
  ).toBeVisible();
});

test("a version that was stored meanwhile is merged, not replaced @S0-133", async ({
  page,
  request,
}) => {
  expecting("409");
  const name = named("merge");
  await edit(page, request, name, ORDER(name));
  await store(request, ORDER(name).replace("# the bank", "# a bank of theirs\n      name: Pay"));
  await write(page, `${ORDER(name)}  parallelism: 2\n`);
  await expect(findings(page)).toContainText("No findings");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("button", { name: "Save as version 2" }).click();
  const dialog = page.getByRole("dialog", { name: "Version 2 was stored meanwhile" });
  await expect(dialog).toContainText("Both changes fit together");
  await dialog.getByRole("button", { name: "Continue from version 2" }).click();
  const merged = await written(page);
  expect(merged).toContain("# a bank of theirs");
  expect(merged).toContain("parallelism: 2");
  await save(page, 3);
  expect(await sourceOf(request, name)).toBe(merged);
});

test("where both changed the same, one is chosen @S0-133", async ({ page, request }) => {
  expecting("409");
  const name = named("choose");
  await edit(page, request, name, ORDER(name));
  await store(request, ORDER(name).replace("# the bank", "# theirs\n      name: Theirs"));
  await write(page, ORDER(name).replace("# the bank", "# mine\n      name: Mine"));
  await expect(findings(page)).toContainText("No findings");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("button", { name: "Save as version 2" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("radio", { name: /^Theirs/ }).check();
  await dialog.getByRole("button", { name: "Continue from version 2" }).click();
  await expect.poll(() => written(page)).toContain("# theirs");
});

test("without a server nothing is lost, and saving says why it cannot @S0-133", async ({
  page,
  request,
}) => {
  expecting("Failed to load resource");
  expecting("net::ERR");
  expecting("WebSocket");
  const name = named("offline");
  await edit(page, request, name, ORDER(name));
  await page.route("**/api/v1/**", (route) => route.abort());
  await add(page, "delay");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("button", { name: "Save as version 2" }).click();
  await expect(page.getByRole("dialog").getByRole("alert")).toContainText("does not answer");
  await expect(state(page)).toContainText("Cannot save: The server does not answer");
  await page.unroute("**/api/v1/**");
  await page.getByRole("button", { name: "Save as version 2" }).click();
  await expect(state(page)).toHaveText("Saved as version 2");
});

test("each state of a draft has its word @S0-133", async ({ page, request }) => {
  const name = named("words");
  await edit(page, request, name, ORDER(name));
  await expect(state(page)).toHaveText("Saved as version 1");
  await drag(page, "ship", 0, 60);
  await expect(state(page)).toHaveText("Draft kept here");
  await text(page).focus();
  await page.keyboard.press("ControlOrMeta+z");
  await expect(state(page)).toHaveText("Saved as version 1");
  await page.keyboard.press("ControlOrMeta+Shift+Z");
  await expect(state(page)).toHaveText("Draft kept here");
  await save(page, 2);
  await text(page).focus();
  await page.keyboard.press("ControlOrMeta+z");
  await expect(state(page)).toHaveText("Draft kept here");
  await expect(stage(page)).toBeVisible();
});
