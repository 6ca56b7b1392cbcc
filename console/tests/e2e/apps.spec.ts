import {
  appName,
  compose,
  deploy,
  deployDraft,
  documentOf,
  dragModule,
  expect,
  SHOP,
  stateOf,
  tab,
  test,
} from "./apps";
import { add, draw, edge, findings, palette, stage, state, task, write, written } from "./builder";
import { clean, expecting } from "./fixtures";

test("applications are listed, found, rolled back, stopped and started @S1-97", async ({
  page,
  request,
}) => {
  const app = appName("listed");
  await deploy(request, app, SHOP);
  await deploy(request, app, SHOP.replace("lamp", "desk"));
  await page.goto("/apps");
  await page.getByRole("searchbox", { name: "Find an application" }).fill(app);
  const rows = page.getByRole("list", { name: "Applications" }).getByRole("listitem");
  await expect(rows).toHaveCount(1);
  await expect(rows).toContainText("Running");
  await expect(rows).toContainText("Release 2");
  await clean(page);
  await rows.getByRole("link", { name: app }).click();
  await expect(page.getByRole("region", { name: "Routes" })).toContainText("/api/products");
  await expect(page.getByRole("region", { name: "Routes" })).toContainText(
    "cors → limit → headers",
  );
  await clean(page);
  await page.getByRole("button", { name: "Roll back to it" }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("Release 1 takes over from release 2");
  await dialog.getByRole("button", { name: /^Roll back/ }).click();
  await expect(dialog).toBeHidden();
  await expect.poll(async () => (await stateOf(request, app)).release).toBe(1);
  await page.getByRole("button", { name: "Stop", exact: true }).click();
  await page.getByRole("button", { name: `Stop ${app}` }).click();
  await expect(page.getByRole("button", { name: "Start", exact: true })).toBeVisible();
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await page.getByRole("button", { name: `Start ${app}` }).click();
  await expect(page.getByRole("button", { name: "Stop", exact: true })).toBeVisible();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await expect(page.getByRole("button", { name: `Delete ${app}` })).toBeDisabled();
  await page.getByLabel(`Type ${app} to confirm`).fill(app);
  await page.getByRole("button", { name: `Delete ${app}` }).click();
  await expect(page).toHaveURL(/\/apps$/);
});

test("the list is usable on a phone @S1-97", async ({ page, request }) => {
  const app = appName("phone");
  await deploy(request, app, SHOP);
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto(`/apps?q=${app}`);
  await expect(page.getByRole("link", { name: app })).toBeVisible();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  expect(wide).toBeLessThanOrEqual(390);
});

test("a moved module changes nothing but its position @S1-98 @S1-105", async ({
  page,
  request,
}) => {
  const app = appName("moved");
  await compose(page, request, app, SHOP);
  await dragModule(page, "db", 40, 70);
  const after = await written(page);
  const kept = after.replace(/\nui:\n {2}layout:\n {4}db: \[-?\d+, -?\d+\]\n?$/, "\n");
  expect(kept.trimEnd()).toBe(SHOP.trimEnd());
  expect(kept).not.toBe(after);
  await deployDraft(page, app);
  await expect(state(page)).toHaveText("As in release 2");
  expect((await documentOf(request, app)).startsWith(SHOP.trimEnd())).toBe(true);
});

test("a module is found, added by a click and by dragging, and its form fills the text @S1-98 @S1-99 @S1-100 @S1-101", async ({
  page,
  request,
}) => {
  await compose(page, request, appName("added"), SHOP);
  await palette(page).getByRole("searchbox").fill("fixed or templated");
  await expect(palette(page).getByRole("button")).toHaveText(["http.handler"]);
  await add(page, "http.handler");
  await expect(task(page, "handler")).toHaveAttribute("aria-pressed", "true");
  const form = page.getByRole("region", { name: "Module handler" });
  await form.getByLabel(/^Body/).fill('"Hello"');
  await form.getByLabel(/^Content type/i).fill("text/plain");
  const text = await written(page);
  expect(text).toContain(
    "  - name: handler\n    type: http.handler\n    config:\n      body: Hello\n      contentType: text/plain\n",
  );
  await tab(page, "Properties").click();
  await task(page, "cors").click();
  const cors = page.getByRole("group", { name: "Allowed origins" });
  await cors.getByRole("button", { name: "Add an item" }).click();
  await cors.getByRole("textbox").fill("https://shop.example");
  expect(await written(page)).toContain("https://shop.example");
  await palette(page).getByRole("searchbox").fill("cache.modular");
  await palette(page)
    .getByRole("button", { name: "cache.modular" })
    .dragTo(stage(page), { targetPosition: { x: 200, y: 300 } });
  await expect(task(page, "cache")).toBeVisible();
  expect(await written(page)).toMatch(/cache: \[-?\d+, -?\d+\]/);
});

test("the fields of a form are those of the schema @S1-100 @S1-109", async ({ page, request }) => {
  await compose(page, request, appName("form"), SHOP);
  await task(page, "limit").click();
  const form = page.getByRole("region", { name: "Module limit" });
  const schema = await (
    await request.get("/api/v1/module-schemas/http.middleware.ratelimit")
  ).json();
  const keys: { key: string }[] = schema.configFields;
  expect(keys.length).toBeGreaterThan(3);
  for (const { key } of keys) {
    const words = key.replace(/([a-z])([A-Z])/g, "$1 $2");
    await expect(form.getByLabel(new RegExp(`^${words}`, "i")).first()).toBeVisible();
  }
  await form.getByLabel(/^Burst size/i).fill("7");
  expect(await written(page)).toContain("      burstSize: 7\n");
});

test("a chain is numbered in its order and reordered by keys @S1-102", async ({
  page,
  request,
}) => {
  await compose(page, request, appName("chain"), SHOP);
  await tab(page, "Routes").click();
  await page.getByRole("button", { name: /^GET \/api\/products/ }).click();
  const badges = async () =>
    Promise.all(
      ["cors", "limit", "headers", "queries"].map((each) =>
        task(page, each).getAttribute("aria-label"),
      ),
    );
  await expect
    .poll(badges)
    .toEqual([
      "cors, http.middleware.cors, number 1",
      "limit, http.middleware.ratelimit, number 2",
      "headers, http.middleware.securityheaders, number 3",
      "queries, api.query, number 4",
    ]);
  await expect(edge(page, "cors", "limit")).toHaveAttribute("data-kind", "chain");
  const chain = page.getByRole("list", { name: "Middlewares in their order" });
  await chain.getByRole("listitem", { name: /^headers/ }).focus();
  await page.keyboard.press("Alt+ArrowUp");
  await page.keyboard.press("Alt+ArrowUp");
  await expect(chain.getByRole("listitem").first()).toContainText("headers");
  await expect(task(page, "headers")).toHaveAccessibleName(/number 1$/);
  await expect(task(page, "limit")).toHaveAccessibleName(/number 3$/);
  expect(await written(page)).toBe(
    SHOP.replace("[cors, limit, headers]", "[headers, cors, limit]"),
  );
});

test("a route and its pipeline are edited in place, and drawn as a flow @S1-103 @S1-104", async ({
  page,
  request,
}) => {
  const app = appName("route");
  await compose(page, request, app, SHOP);
  await tab(page, "Routes").click();
  await page.getByRole("button", { name: /^GET \/api\/products/ }).click();
  const route = page.getByRole("group", { name: "GET /api/products" });
  await route.getByRole("button", { name: /^1 make/ }).click();
  await route.getByLabel(/^word/i).fill("desk");
  await route.getByRole("combobox", { name: "Add a step" }).selectOption("step.log");
  const steps = route.getByRole("list", { name: /^Steps of/ });
  await expect(steps.getByRole("listitem")).toHaveCount(3);
  await route.getByLabel(/^Message/).fill("asked");
  await route.getByRole("button", { name: "Move log up" }).click();
  await expect(steps.getByRole("listitem").nth(1)).toContainText("log");
  await route.getByRole("button", { name: "Show on the canvas" }).click();
  await expect(edge(page, "make", "log")).toHaveAttribute("data-kind", "pipeline-flow");
  await expect(edge(page, "log", "respond")).toHaveAttribute("data-kind", "pipeline-flow");
  await expect(task(page, "log")).toHaveAccessibleName("log, step.log, number 2");
  const text = await written(page);
  expect(text).toContain("values: {word: desk}");
  expect(text).toContain("            # first the word\n            - name: make\n");
  await expect(findings(page)).toContainText("No findings");
  await deployDraft(page, app);
  await expect(state(page)).toHaveText("As in release 2");
  const at = (await stateOf(request, app)).addresses.web;
  expect(await (await request.get(`http://${at}/api/products`)).json()).toEqual({ word: "desk" });
});

test("connections that cannot work are refused in a sentence @S1-108", async ({
  page,
  request,
}) => {
  await compose(page, request, appName("refused"), SHOP);
  await draw(page, "store", "db");
  await expect(findings(page)).toContainText("would close a circle: store → db → store");
  await draw(page, "router", "db");
  await expect(findings(page)).toContainText("router offers Router, and db takes");
  await task(page, "db").focus();
  await page.keyboard.press("c");
  await expect(task(page, "cors")).toHaveAttribute("data-target", "refused");
  await expect(task(page, "cors")).toHaveAttribute("title", /db offers Database/);
  await page.keyboard.press("Escape");
  await add(page, "step.set");
  await expect(findings(page)).toContainText("step.set is a step of a pipeline, not a module");
  expect(await written(page)).toBe(SHOP);
  await draw(page, "web", "router");
  await expect(edge(page, "web", "router")).toBeAttached();
  expect(await written(page)).toContain("config: {prefix: '/api'}, dependsOn: [web]}");
});

test("findings of the server stand in their places, with line and column @S1-105", async ({
  page,
  request,
}) => {
  await compose(page, request, appName("finding"), SHOP);
  await write(page, SHOP.replace("type: persistence.store", "type: persistence.stor"));
  const found = findings(page).getByRole("button", { name: /^21:11 / });
  await expect(found).toContainText("persistence.stor");
  await expect(task(page, "store")).toHaveAttribute("data-findings", "error");
  await found.click();
  await expect(page.getByTestId("text").locator(".cm-lintRange-error")).toHaveText(
    "persistence.stor",
  );
  await page.getByRole("button", { name: "Deploy", exact: true }).click();
  await expect(page.getByRole("dialog").getByRole("alert")).toBeVisible();
});

test("one undo serves the text and the canvas, and a draft is found again @S1-105", async ({
  page,
  request,
}) => {
  const app = appName("undo");
  await compose(page, request, app, SHOP);
  await add(page, "http.handler");
  await expect(task(page, "handler")).toBeVisible();
  await written(page);
  await page.getByRole("textbox", { name: "Text" }).click();
  await page.keyboard.press("ControlOrMeta+Home");
  await page.keyboard.insertText("# typed ");
  expect(await written(page)).toContain("# typed");
  await page.keyboard.press("ControlOrMeta+z");
  expect(await written(page)).not.toContain("# typed");
  await expect(task(page, "handler")).toBeVisible();
  await page.keyboard.press("ControlOrMeta+z");
  await expect(task(page, "handler")).toBeHidden();
  expect(await written(page)).toBe(SHOP);
  await page.keyboard.press("ControlOrMeta+Shift+z");
  await expect(task(page, "handler")).toBeVisible();
  await expect(state(page)).toHaveText("Draft kept here");
  await page.goto("/apps");
  await page.goto(`/apps/${app}/edit`);
  await expect(task(page, "handler")).toBeVisible();
});

test("a new application is composed, deployed and answers @S1-97 @S1-106 @S1-107", async ({
  page,
  request,
}) => {
  const app = appName("hello");
  await page.goto("/apps/new");
  await page.getByRole("button", { name: "Small application" }).click();
  await expect(task(page, "hello")).toBeVisible();
  await expect(findings(page)).toContainText("No findings");
  await page.keyboard.press("ControlOrMeta+b");
  await expect(palette(page)).toBeHidden();
  await page.keyboard.press("ControlOrMeta+b");
  await expect(palette(page)).toBeVisible();
  await dragModule(page, "hello", 10, 80);
  await stage(page).getByRole("button", { name: "Tidy up" }).click();
  expect(await written(page)).not.toContain("layout");
  await clean(page);
  await page.getByRole("button", { name: "Deploy", exact: true }).click();
  await page.getByLabel("Name of the application").fill(app);
  await page.getByRole("button", { name: `Deploy ${app}` }).click();
  await expect(page.getByText("Release 1 serves")).toBeVisible();
  await expect(page).toHaveURL(new RegExp(`/apps/${app}/edit`));
  const at = (await stateOf(request, app)).addresses.web;
  expect(await (await request.get(`http://${at}/hello`)).text()).toBe("Hello");
});

test("a release that was deployed meanwhile is not replaced unseen @S1-105", async ({
  page,
  request,
}) => {
  expecting("409");
  const app = appName("conflict");
  await compose(page, request, app, SHOP);
  await task(page, "limit").click();
  await page.getByLabel(/^Burst size/i).fill("7");
  await deploy(request, app, SHOP.replace("lamp", "desk"));
  await deployDraft(page, app);
  const dialog = page.getByRole("dialog", { name: "Release 2 was deployed meanwhile" });
  await dialog.getByRole("button", { name: "Continue from release 2" }).click();
  const merged = await written(page);
  expect(merged).toContain("burstSize: 7");
  expect(merged).toContain("desk");
  await deployDraft(page, app);
  await expect(state(page)).toHaveText("As in release 3");
});
