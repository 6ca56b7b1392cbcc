import { expect, expecting, seeded, start, test } from "./fixtures";

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
