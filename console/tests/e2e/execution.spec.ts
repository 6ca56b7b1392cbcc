import type { APIRequestContext, Page } from "@playwright/test";
import { expect, live, reached, SHOP, seeded, start, taskReached, test } from "./fixtures";

async function open(page: Page, name: string, search = ""): Promise<void> {
  await page.goto(`/executions/${seeded(name)}${search}`);
  await expect(page.getByRole("tablist")).toBeVisible();
}

async function events(request: APIRequestContext, id: string) {
  const answer = await request.get(`/api/v1/executions/${id}/history?pageSize=10000`);
  return (await answer.json()).events as { sequence: number; type: string; taskId?: string }[];
}

for (const [name, sentence, next] of [
  ["stuck", "no worker takes shop.unserved", "start a worker for shop.unserved"],
  ["retrying", "attempt 1 of 5 failed", "wait, or fix the called service"],
  ["approval", "it waits for approval by ann, bob", "Approve or reject"],
  ["waiting", "it waits for the signal paid", "Send the signal"],
  ["held", "is held until you decide its outcome", "Decide what happens"],
  ["paused", "it is paused", "Resume"],
] as const) {
  test(`the head says why it does not go on: ${name} @S0-05`, async ({ page }) => {
    await open(page, name);
    await expect(page.getByTestId("cause")).toContainText(sentence);
    await expect(page.getByTestId("cause")).toContainText(next);
  });
}

test("the graph has the state of every task @S3-52 @S3-107", async ({ page, request }) => {
  await open(page, "failed");
  const answer = await request.get(`/api/v1/executions/${seeded("failed")}`);
  const words = { success: "Completed", failed: "Failed", skipped: "Skipped" } as const;
  const tasks = Object.values((await answer.json()).tasks) as {
    name: string;
    status: keyof typeof words;
  }[];
  expect(tasks).toHaveLength(9);
  for (const task of tasks) {
    const item = page.getByRole("treeitem", {
      name: new RegExp(`^${task.name}, ${words[task.status]}`),
    });
    await expect(item).toBeVisible();
  }
  const canvas = page.getByTestId("graph");
  const drawn = await canvas.evaluate((element: HTMLCanvasElement) => {
    const { data } =
      element.getContext("2d")?.getImageData(0, 0, element.width, element.height) ?? {};
    return new Set(new Uint32Array(data?.buffer ?? new ArrayBuffer(0))).size;
  });
  expect(drawn).toBeGreaterThan(20);
});

test("a click in the graph selects the task there @S3-123", async ({ page }) => {
  await open(page, "waiting");
  const canvas = page.getByTestId("graph");
  // The place of the task depends on the width of the canvas, which a selected task changes.
  const offsets = [-110, -60, -160, -10, -210, 40, -260, 90];
  let turn = 0;
  await expect(async () => {
    await page.getByRole("button", { name: "Show the whole graph" }).click();
    const box = await canvas.boundingBox();
    if (!box) throw new Error("the graph has no place");
    const offset = offsets[turn % offsets.length] ?? 0;
    turn += 1;
    await canvas.click({ position: { x: box.width / 2 + offset, y: box.height / 2 } });
    await expect(page.getByRole("complementary", { name: "Task paid" })).toBeVisible({
      timeout: 1_000,
    });
  }).toPass({ timeout: 30_000 });
  await expect(page.getByRole("treeitem", { name: /^paid/ })).toHaveAttribute(
    "aria-selected",
    "true",
  );
  await page.keyboard.press("Escape");
  await expect(page.getByRole("complementary", { name: "Task paid" })).toBeHidden();
});

test("the paths are those of the server @S3-53", async ({ page, request }) => {
  await open(page, "failed", "?tab=paths");
  const answer = await request.get(`/api/v1/executions/${seeded("failed")}/state`);
  const { paths } = await answer.json();
  const items = page.getByRole("tabpanel").getByRole("list").first().locator(":scope > li");
  await expect(items).toHaveCount(paths.length);
  const words = { taken: "Taken", notTaken: "Not taken", open: "Open" } as const;
  for (const [index, path] of paths.entries()) {
    await expect(items.nth(index)).toContainText(words[path.status as keyof typeof words]);
    for (const node of path.nodes) await expect(items.nth(index)).toContainText(node);
  }
});

test("the timeline shows when tasks waited and ran @S1-172", async ({ page, request }) => {
  await open(page, "completed", "?tab=timeline");
  await expect(page.getByTestId("timeline")).toBeVisible();
  await page.getByRole("button", { name: "As a table" }).click();
  const answer = await request.get(`/api/v1/executions/${seeded("completed")}/trace`);
  const { bottleneck, tasks } = await answer.json();
  await expect(page.getByText("Bottleneck:")).toContainText(bottleneck.taskId);
  const table = page.getByRole("table");
  await expect(table.locator("tbody tr")).toHaveCount(tasks.length);
  for (const task of tasks) {
    const row = table
      .getByRole("row")
      .filter({ has: page.getByRole("button", { name: task.name, exact: true }) });
    await expect(row).toContainText(`${Math.round(task.runMs)} ms`);
  }
});

test("the timeline answers why an execution was slow @S0-104", async ({ page, request }) => {
  await open(page, "completed", "?tab=timeline");
  const answer = await request.get(`/api/v1/executions/${seeded("completed")}/trace`);
  const { bottleneck, tasks } = await answer.json();
  const shown = page.getByText("Bottleneck:");
  await expect(shown).toContainText(bottleneck.taskId);
  await expect(shown).toContainText(`${Math.round(bottleneck.share * 100)} %`);
  await page.getByRole("combobox", { name: "Order" }).selectOption("Critical path");
  await page.getByRole("button", { name: "As a table" }).click();
  const critical = tasks.filter((each: { critical: boolean }) => each.critical);
  const names = await page.getByRole("table").locator("tbody tr button").allTextContents();
  expect(new Set(names.slice(0, critical.length))).toEqual(
    new Set(critical.map((each: { name: string }) => each.name)),
  );
});

test("a step shows its input, output and times @S1-175 @S3-107", async ({ page }) => {
  await open(page, "completed", "?tab=timeline&node=charge");
  const inspector = page.getByRole("complementary", { name: "Task charge" });
  await expect(inspector.getByText("Attempts")).toBeVisible();
  await expect(inspector).toContainText("order:");
  await expect(inspector).toContainText('"o-4711"');
  await expect(inspector).toContainText('receipt:"rc_20931"');
  await expect(inspector.getByText(/^\d+ ms$/).first()).toBeVisible();
});

test("the history has every event once and in order @S0-05", async ({ page, request }) => {
  await open(page, "completed", "?tab=history");
  const known = await events(request, seeded("completed"));
  await expect(page.getByText(`${known.length} events`)).toBeVisible();
  const shown = await page.getByTestId("events").getByRole("listitem").allTextContents();
  const sequences = shown.map((text) => Number.parseInt(text, 10));
  expect(sequences).toEqual([...new Set(sequences)].sort((left, right) => left - right));
  await page.getByRole("searchbox", { name: "Search in events" }).fill("reserve");
  const mine = known.filter((event) => event.taskId === "reserve-stock");
  await expect(page.getByText(`${mine.length} events`)).toBeVisible();
});

test("an event opens with its values, and its moment can be shown", async ({ page }) => {
  await open(page, "completed", "?tab=history");
  await page.getByRole("button", { name: /^1 Workflow started/ }).click();
  await expect(page.getByTestId("events")).toContainText('order:"o-4711"');
  await page.getByRole("button", { name: "Show the state after this event" }).click();
  await expect(page.getByText("The state after event 1")).toBeVisible();
  await page.getByRole("tab", { name: "Graph" }).click();
  await expect(page.getByRole("treeitem", { name: /^validate, Pending/ })).toBeVisible();
  await page.keyboard.press("l");
  await expect(page.getByRole("treeitem", { name: /^validate, Completed/ })).toBeVisible();
});

for (const name of ["completed", "failed", "held", "parent", "map"] as const) {
  test(`each drawn moment has the state of the server: ${name} @S0-05`, async ({
    page,
    request,
  }) => {
    const id = seeded(name);
    const count = (await events(request, id)).length;
    const words = {
      pending: /, (Pending|At breakpoint)/,
      running: /, (Queued|Running|Waiting|Retrying|On hold|Needs approval)/,
      success: /, Completed/,
      failed: /, Failed/,
      skipped: /, Skipped/,
      canceled: /, Canceled/,
    } as const;
    const moments = new Set(
      [1, 2, 5, Math.floor(count / 2), count - 1, count].filter((at) => at > 0),
    );
    for (const at of moments) {
      const state = await (await request.get(`/api/v1/executions/${id}/state?at=${at}`)).json();
      await page.goto(`/executions/${id}?at=${at}`);
      await expect(page.getByText(`The state after event ${at}`)).toBeVisible();
      for (const item of await page.getByRole("treeitem").all()) {
        const label = (await item.getAttribute("aria-label")) ?? "";
        const node = label.split(",")[0] ?? "";
        const status = (state.nodes[node]?.status ?? "pending") as keyof typeof words;
        await expect(item, `${node} at ${at}`).toHaveAttribute("aria-label", words[status]);
      }
    }
  });
}

test("values at a moment are those of the server", async ({ page, request }) => {
  await open(page, "completed", "?tab=values&at=8");
  const values = page.getByTestId("values-at");
  await expect(values).toHaveAttribute("data-sequence", "8");
  const answer = await request.get(`/api/v1/executions/${seeded("completed")}/state?at=8`);
  const { variables } = await answer.json();
  for (const task of Object.keys(variables.tasks)) await expect(values).toContainText(`${task}:`);
  await expect(values).not.toContainText("notify-customer:");
});

test("a child is listed, opened, and leads back to its parent", async ({ page }) => {
  await open(page, "parent", "?tab=children");
  await page.getByRole("tabpanel").getByRole("link").click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("orders");
  await page.getByRole("link", { name: seeded("parent") }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("campaign");
});

test("the items of a map are cells, and one opens with its values", async ({ page }) => {
  await open(page, "map", "?node=each");
  const inspector = page.getByRole("complementary", { name: "Task each" });
  await expect(inspector).toContainText("40 items");
  await expect(inspector).toContainText("40 completed");
  const drawn = await inspector.getByTestId("items").evaluate((element: HTMLCanvasElement) => {
    const { data } = element.getContext("2d")?.getImageData(2, 2, 1, 1) ?? {};
    return data?.[3] ?? 0;
  });
  expect(drawn, "the first cell is painted").toBeGreaterThan(100);
  await inspector.getByTestId("items").click({ position: { x: 4, y: 4 } });
  const item = page.getByRole("complementary", { name: "Task each[0]/weigh" });
  await expect(item).toContainText('id:"p-0"');
});

test("tasks are tracked step by step while they run @S1-115 @S4-10", async ({ page, request }) => {
  const id = await start(request, "waits");
  await page.goto(`/executions/${id}`);
  await live(page);
  await expect(page.getByRole("treeitem", { name: /^thank, Pending/ })).toBeVisible();
  await request.post(`/api/v1/executions/${id}:signal`, { data: { name: "paid", payload: {} } });
  await expect(page.getByRole("treeitem", { name: /^paid, Completed/ })).toBeVisible();
  await expect(page.getByRole("treeitem", { name: /^thank, Completed/ })).toBeVisible();
  await expect(page.locator("main > header").getByText("Completed")).toBeVisible();
});

test("a copied address shows the same task and view", async ({ page, context }) => {
  await open(page, "failed");
  await page.getByRole("treeitem", { name: /^charge/ }).click();
  await page.getByRole("tab", { name: "History" }).click();
  const other = await context.newPage();
  await other.goto(page.url());
  await expect(other.getByRole("tab", { name: "History" })).toHaveAttribute(
    "aria-selected",
    "true",
  );
  await expect(other.getByRole("complementary", { name: "Task charge" })).toBeVisible();
});

test("eighty tasks are found by name", async ({ page }) => {
  await open(page, "wide");
  await page.getByRole("searchbox", { name: "Find a task" }).fill("step-79");
  await expect(page.getByRole("treeitem")).toHaveCount(1);
  await page.getByRole("treeitem").click();
  await expect(page.getByRole("complementary", { name: "Task step-79" })).toContainText(
    "Completed",
  );
});

test("a graph of eighty tasks is whole when it opens, and ids are cut in the middle", async ({
  page,
}) => {
  await page.addInitScript(() => {
    const drawn = new Set<string>();
    Object.assign(window, { drawn });
    const original = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
      drawn.add(text);
      return original.call(this, text, ...rest);
    };
  });
  const drawn = () => page.evaluate(() => [...(window as unknown as { drawn: Set<string> }).drawn]);
  await open(page, "wide");
  // Texts of boxes out of sight are not drawn.
  await expect
    .poll(async () => (await drawn()).filter((each) => /^step-\d\d$/.test(each)))
    .toHaveLength(80);
  await open(page, "long");
  await expect.poll(drawn).toContainEqual(expect.stringMatching(/^send-.*…\S*customer$/));
});

test("an execution that fails while it is shown says so at once", async ({ page, request }) => {
  const id = await start(request, "held-orders", SHOP.declined);
  await taskReached(request, id, "charge", "running");
  await page.goto(`/executions/${id}`);
  await expect(page.getByRole("treeitem", { name: /^charge, On hold/ })).toBeVisible();
  const path = `/api/v1/executions/${id}/nodes/charge:fail`;
  await request.post(path, { data: { reason: "it will not work" } });
  await reached(request, id, "failed");
  await expect(page.locator("main > header").getByText("Failed", { exact: true })).toBeVisible();
  await expect(page.getByRole("treeitem", { name: /^ship, Skipped/ })).toBeVisible();
});
