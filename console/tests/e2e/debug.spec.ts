import type { APIRequestContext, Page } from "@playwright/test";
import {
  clean,
  expect,
  expecting,
  live,
  reached,
  seeded,
  start,
  taskReached,
  test,
} from "./fixtures";

async function debug(page: Page, id: string, search = ""): Promise<void> {
  await page.goto(`/executions/${id}/debug${search}`);
  await expect(page.getByTestId("moment")).toBeVisible();
}

async function lastEvent(request: APIRequestContext, id: string): Promise<number> {
  return (await (await request.get(`/api/v1/executions/${id}`)).json()).lastSequence;
}

function moment(page: Page) {
  return page.getByTestId("moment");
}

async function moveTo(page: Page, sequence: number): Promise<void> {
  const number = page.getByLabel("Number of the event");
  await number.fill(String(sequence));
  await number.press("Enter");
  await expect(moment(page)).toHaveAttribute("data-sequence", String(sequence));
}

test("keys move the moment by events, tasks, problems and to the ends @S0-134", async ({
  page,
  request,
}) => {
  const id = seeded("failed");
  const last = await lastEvent(request, id);
  await debug(page, id);
  await expect(moment(page)).toHaveAttribute("data-sequence", String(last));
  await page.keyboard.press("Home");
  await expect(moment(page)).toHaveAttribute("data-sequence", "1");
  await expect(page.getByRole("treeitem", { name: /^validate, Pending/ })).toBeVisible();
  await page.keyboard.press("ArrowRight");
  await expect(moment(page)).toHaveAttribute("data-sequence", "2");
  await page.keyboard.press("]");
  await expect(moment(page)).toHaveText("Task failed");
  await expect(page.getByRole("treeitem", { name: /^charge, Failed/ })).toBeVisible();
  await page.keyboard.press("End");
  await expect(moment(page)).toHaveAttribute("data-sequence", String(last));
  await page.keyboard.press("l");
  await expect(page.getByText("The state after event")).toHaveCount(0);
});

test("the strip is dragged, and every view shows the same moment @S0-100", async ({ page }) => {
  await debug(page, seeded("completed"));
  const strip = page.getByRole("slider", { name: "Moment" });
  const box = await strip.boundingBox();
  if (!box) throw new Error("the strip has no place");
  await page.mouse.move(box.x + box.width - 10, box.y + 20);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2, box.y + 20, { steps: 5 });
  await page.mouse.up();
  const at = await moment(page).getAttribute("data-sequence");
  await expect(strip).toHaveAttribute("aria-valuenow", at ?? "");
  await expect.poll(() => new URL(page.url()).searchParams.get("at")).toBe(at);
  await page.getByRole("tab", { name: "Values" }).click();
  await expect(page.getByTestId("values-at")).toHaveAttribute("data-sequence", at ?? "");
  await page.getByRole("tab", { name: "History" }).click();
  await expect(page.locator("[data-at]")).toHaveText(new RegExp(`^${at}`));
});

for (const speed of ["1", "10", "100"]) {
  test(`the execution is played at ${speed} times its speed @S0-100`, async ({ page, request }) => {
    const id = seeded("wide");
    const { durationMs, lastSequence } = await (
      await request.get(`/api/v1/executions/${id}`)
    ).json();
    await debug(page, id, "?at=1");
    await page.getByLabel("Speed").selectOption(speed);
    const begun = Date.now();
    await page.getByRole("button", { name: "Play", exact: true }).click();
    if (speed === "1") {
      await expect(page.getByRole("button", { name: "Stop playing" })).toBeVisible();
    }
    await expect(moment(page)).toHaveAttribute("data-sequence", String(lastSequence), {
      timeout: 60_000,
    });
    await expect(page.getByRole("button", { name: "Play", exact: true })).toBeVisible();
    const wanted = durationMs / Number(speed);
    // Idle time is folded, so it takes at most its own length; and at 1x not a fraction of it.
    expect(Date.now() - begun).toBeLessThan(wanted + 8_000);
    if (speed === "1") expect(Date.now() - begun).toBeGreaterThan(wanted * 0.5);
  });
}

test("idle time is folded until its switch is used @S0-134", async ({ page }) => {
  await debug(page, seeded("completed"));
  const fold = page.getByRole("button", { name: "Fold idle time" });
  await expect(fold).toHaveAttribute("aria-pressed", "true");
  await page.keyboard.press("z");
  await expect(fold).toHaveAttribute("aria-pressed", "false");
});

test("every task stops until it is continued @S0-101 @S1-191", async ({ page, request }) => {
  const id = await start(request, "waits");
  await taskReached(request, id, "paid", "running");
  await debug(page, id);
  await live(page);
  await page.getByRole("checkbox", { name: "Stop before every task" }).click();
  await expect
    .poll(
      async () => (await (await request.get(`/api/v1/executions/${id}`)).json()).breakpoints?.all,
    )
    .toBe(true);
  await request.post(`/api/v1/executions/${id}:signal`, { data: { name: "paid", payload: {} } });
  const stops = page.getByTestId("stops");
  await expect(stops).toContainText("1 task has stopped");
  await expect(page.getByRole("treeitem", { name: /^thank, At breakpoint/ })).toBeVisible();
  await stops.getByRole("button", { name: "Continue", exact: true }).click();
  await reached(request, id, "completed");
  await expect(stops).toHaveCount(0);
});

test("one chosen task stops, and continues with another input @S1-191 @S3-109", async ({
  page,
  request,
}) => {
  const id = await start(request, "waits", { amount: 1 });
  await taskReached(request, id, "paid", "running");
  await debug(page, id, "?node=thank");
  await live(page);
  await page.getByRole("button", { name: "Stop before thank" }).click();
  await expect(page.getByTitle("Remove the breakpoint before thank")).toBeVisible();
  await request.post(`/api/v1/executions/${id}:signal`, { data: { name: "paid", payload: {} } });
  await page.getByTestId("stops").getByRole("button", { name: "Edit the input" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Input (JSON), empty for the same").fill('{"amount": 2}');
  await dialog.getByLabel("Reason").fill("the amount was wrong");
  await dialog.getByRole("button", { name: "Continue" }).click();
  await reached(request, id, "completed");
  const node = await (await request.get(`/api/v1/executions/${id}/nodes/thank`)).json();
  expect(node.input).toEqual({ amount: 2 });
});

test("a stopped task is completed by hand with an output @S1-191", async ({ page, request }) => {
  const id = await start(request, "waits");
  await taskReached(request, id, "paid", "running");
  await request.put(`/api/v1/executions/${id}/breakpoints`, { data: { nodes: ["thank"] } });
  await request.post(`/api/v1/executions/${id}:signal`, { data: { name: "paid", payload: {} } });
  await debug(page, id);
  await page.getByTestId("stops").getByRole("button", { name: "Complete by hand" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Output (JSON)").fill('{"by": "hand"}');
  await dialog.getByLabel("Reason").fill("the service is down");
  await dialog.getByRole("button", { name: "Complete by hand" }).click();
  await reached(request, id, "completed");
  const { tasks } = await (await request.get(`/api/v1/executions/${id}`)).json();
  expect(tasks.thank.output).toEqual({ by: "hand" });
});

test("a watch has its value at each moment, and its marks lead to the changes @S0-103", async ({
  page,
  request,
}) => {
  const id = seeded("completed");
  const path = "tasks.charge.output.receipt";
  const { steps } = await (await request.get(`/api/v1/executions/${id}/watch?path=${path}`)).json();
  const set = steps.find((step: { changed: boolean }) => step.changed);
  await debug(page, id, "?at=1");
  await page.getByLabel("Path to watch").fill(path);
  await page.getByRole("button", { name: "Watch", exact: true }).click();
  const value = page.getByTestId("watches").getByTestId("value");
  await expect(value).toHaveText("not set yet");
  await page.getByRole("button", { name: `Changed at event ${set.sequence}` }).click();
  await expect(moment(page)).toHaveAttribute("data-sequence", String(set.sequence));
  await expect(value).toHaveText('"rc_20931"');
  await expect(page.getByTestId("watches")).toContainText("set by charge");
  expect(new URL(page.url()).searchParams.get("watch")).toBe(path);
  await moveTo(page, set.sequence - 1);
  await expect(value).toHaveText("not set yet");
  // The address follows the moment a little later.
  await expect(page).toHaveURL(new RegExp(`[?&]at=${set.sequence - 1}(&|$)`));
  await page.reload();
  await expect(value).toHaveText("not set yet");
});

test("a path that cannot be watched is a sentence, and can be removed", async ({ page }) => {
  expecting("400");
  await debug(page, seeded("completed"), "?watch=nonsense.of%5B");
  await expect(page.getByTestId("watches").getByRole("alert")).toBeVisible();
  await page.getByRole("button", { name: /Remove the watch on/ }).click();
  await expect(page.getByTestId("watches").getByRole("alert")).toHaveCount(0);
});

test("a moment beyond the history is its last one", async ({ page, request }) => {
  const id = seeded("completed");
  await debug(page, id, "?at=99999");
  await expect(moment(page)).toHaveAttribute("data-sequence", String(await lastEvent(request, id)));
});

test("the page has no violation of WCAG: debug @S0-134", async ({ page, request }) => {
  const id = await start(request, "waits");
  await taskReached(request, id, "paid", "running");
  await request.put(`/api/v1/executions/${id}/breakpoints`, { data: { all: true } });
  await request.post(`/api/v1/executions/${id}:signal`, { data: { name: "paid", payload: {} } });
  await debug(page, id, "?node=thank&watch=input");
  await expect(page.getByTestId("stops")).toContainText("1 task has stopped");
  await expect(page.getByRole("status", { name: "Loading" })).toHaveCount(0);
  await clean(page);
});
