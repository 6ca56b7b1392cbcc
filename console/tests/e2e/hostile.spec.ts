import type { WebSocketRoute } from "@playwright/test";
import { expect, expecting, live, seeded, start, test } from "./fixtures";

test("an execution that does not exist is a sentence with a way on", async ({ page }) => {
  expecting("404");
  await page.goto("/executions/exec-nothing");
  await expect(page.getByText("There is no such execution")).toBeVisible();
  await page.getByRole("link", { name: "Show all executions" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Executions");
});

test("an id that no execution can have is refused in words", async ({ page }) => {
  expecting("400");
  await page.goto("/console/executions/a%20b");
  await expect(page.getByRole("alert").first()).toContainText(/id/i);
});

test("an address without a page says so", async ({ page }) => {
  await page.goto("/console/nowhere/at/all");
  await expect(page.getByText("There is no page at this address")).toBeVisible();
});

test("values with HTML and direction characters are text", async ({ page, request }) => {
  const hostile = { note: "<img src=x onerror=alert(1)>", name: "abc\u202edcba", tab: "a\u0007b" };
  const id = await start(request, "hello", hostile);
  await page.goto(`/executions/${id}?tab=values`);
  const panel = page.getByRole("tabpanel");
  await expect(panel).toContainText("<img src=x onerror=alert(1)>");
  await expect(panel).toContainText("abc⟨U+202E⟩dcba");
  await expect(panel).toContainText("a␇b");
  await expect(page.locator("img")).toHaveCount(0);
});

test("a value of a megabyte is cut and opens piece by piece", async ({ page, request }) => {
  const id = await start(request, "hello", {
    text: "x".repeat(1_000_000),
    list: Array(5_000).fill(1),
  });
  await page.goto(`/executions/${id}?tab=values`);
  const panel = page.getByRole("tabpanel");
  await expect(panel.getByRole("button", { name: /more characters/ }).first()).toBeVisible();
  await panel.getByRole("button", { name: /list:/ }).first().click();
  await expect(panel.getByRole("button", { name: "4,900 more" })).toBeVisible();
});

test("the clock of the browser may be ten minutes late", async ({ page, request }) => {
  const id = await start(request, "reports");
  await page.clock.install({ time: Date.now() - 600_000 });
  await page.goto(`/executions/${id}`);
  await page.clock.runFor(2_000);
  await expect(page.locator("main > header").getByText(/^\d+(\.\d)? s$/)).toBeVisible();
  await request.post(`/api/v1/executions/${id}:terminate`, { data: {} });
});

test("a namespace without executions is a guide, not an error", async ({ page }) => {
  await page.goto("/console/settings");
  await page.getByLabel("Shown namespace").fill("empty-one");
  await page.getByRole("button", { name: "Show this namespace" }).click();
  await page.goto("/console");
  await expect(page.getByText("Start your first execution")).toBeVisible();
  await page.goto("/console/executions");
  await expect(page.getByText("No executions in this time")).toBeVisible();
});

test("another page can neither frame the console nor give it scripts", async ({
  page,
  request,
}) => {
  const answer = await request.get("/console", { headers: { accept: "text/html" } });
  const policy = answer.headers()["content-security-policy"] ?? "";
  expect(policy).toContain("frame-ancestors 'none'");
  expecting("Content Security Policy");
  await page.goto(`/executions/${seeded("completed")}`);
  await page.evaluate(() => {
    const script = document.createElement("script");
    script.setAttribute("data-injected", "");
    document.body.append(script);
    const style = document.createElement("style");
    style.textContent = "main { display: none }";
    document.head.append(style);
  });
  await expect(page.getByRole("tablist")).toBeVisible();
});

test("a value of eight megabytes is cut, and the page stays usable", async ({ page, request }) => {
  test.setTimeout(120_000);
  const id = await start(request, "hello", { text: "x".repeat(8_000_000) });
  await page.goto(`/executions/${id}?tab=values`);
  const panel = page.getByRole("tabpanel");
  await expect(panel.getByRole("button", { name: /more characters/ }).first()).toBeVisible();
  await page.getByRole("tab", { name: "Graph" }).click();
  await expect(page.getByRole("treeitem").first()).toBeVisible();
  await page.goto(`/executions/${id}/rerun`);
  await expect(page.getByText("The input is too large to edit here")).toBeVisible();
});

test("a part of the page that the server has no longer is a sentence and a reload", async ({
  page,
}) => {
  expecting("404");
  expecting("dynamically imported module");
  await page.goto("/console/executions");
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  const loaded = await page.evaluate(() =>
    performance.getEntriesByType("resource").map((each) => each.name),
  );
  await page.route(/\/console\/assets\/.*\.js$/, (route) =>
    loaded.includes(route.request().url())
      ? route.continue()
      : route.fulfill({ status: 404, body: "" }),
  );
  await page.getByRole("link", { name: "Settings" }).click();
  await expect(page.getByText("The server has another version of this page")).toBeVisible();
  await page.unroute(/\/console\/assets\/.*\.js$/);
  await page.getByRole("button", { name: "Reload" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Settings");
});

test("a server that comes back with another version offers a reload", async ({ page }) => {
  let version = "1.0.0";
  const sockets: { close: (options: { code: number }) => Promise<void> }[] = [];
  await page.route("**/api/v1/console/session", async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ json: { ...(await answer.json()), version } });
  });
  await page.routeWebSocket(/v1\/events\/ws/, (socket) => {
    socket.connectToServer();
    sockets.push(socket);
  });
  await page.goto("/console/executions");
  await expect(page.getByRole("status").filter({ hasText: /^Live$/ })).toBeVisible();
  version = "1.1.0";
  await sockets[0]?.close({ code: 1012 });
  await expect(page.getByText("The server was updated to 1.1.0.")).toBeVisible();
  await expect(page.getByRole("button", { name: "Reload" })).toBeVisible();
});

test("a place in the events that has expired is read anew", async ({ page, request }) => {
  const sockets: WebSocketRoute[] = [];
  await page.routeWebSocket(/v1\/events\/ws/, (socket) => {
    socket.connectToServer();
    sockets.push(socket);
  });
  await page.goto("/console/executions");
  await live(page);
  const list = page.getByTestId("executions");
  await expect(list.getByRole("link").first()).toBeVisible();
  // Only an event gives the page a place, and only a place can expire.
  const id = await start(request, "hello");
  await expect(list.getByRole("link", { name: id })).toBeVisible();
  const read = page.waitForRequest(/\/api\/v1\/executions\?/);
  await sockets[0]?.close({ code: 1011, reason: "CURSOR_EXPIRED" });
  await read;
  await live(page);
  const places = sockets.map((socket) => new URL(socket.url()).searchParams.get("after") ?? "");
  expect(places).toEqual(["", ""]);
});

test("two tabs debug one execution: a breakpoint of one stops in both", async ({
  page,
  context,
  request,
}) => {
  const id = await start(request, "waits");
  const other = await context.newPage();
  for (const tab of [page, other]) {
    await tab.goto(`/executions/${id}/debug`);
    await expect(tab.getByTestId("moment")).toBeVisible();
  }
  await page.getByRole("checkbox", { name: "Stop before every task" }).click();
  await expect(other.getByRole("checkbox", { name: "Stop before every task" })).toBeChecked();
  await request.post(`/api/v1/executions/${id}:signal`, { data: { name: "paid", payload: {} } });
  for (const tab of [page, other]) {
    await expect(tab.getByTestId("stops")).toContainText("1 task has stopped");
  }
  await page.getByTestId("stops").getByRole("button", { name: "Continue", exact: true }).click();
  await expect(other.getByTestId("stops")).not.toContainText("has stopped");
});

test("the address of the console with a slash at its end is its home", async ({ page }) => {
  await page.goto("/console/");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Home");
});
