import { expect, live, rows, seeded, start, taskReached, test } from "./fixtures";

test("a page that is not disturbed asks for nothing @S0-97", async ({ page }) => {
  await page.clock.install();
  await page.goto(`/executions/${seeded("stuck")}`);
  await expect(page.getByTestId("cause")).toBeVisible();
  await page.waitForLoadState("networkidle");
  const asked: string[] = [];
  page.on("request", (request) => asked.push(request.url()));
  await page.clock.fastForward("30:00");
  // Half an hour, and the time since the execution was started.
  await expect(page.getByText(/Running for.*([3-9]\d m|\d h)/)).toBeVisible();
  expect(asked).toEqual([]);
});

test("a cut connection resumes behind the last event, without gap or repeat @S0-96 @S1-139", async ({
  page,
  request,
}) => {
  const cuts: (() => Promise<void>)[] = [];
  const opened: string[] = [];
  await page.routeWebSocket(/executions\/.*\/events\/ws/, (socket) => {
    const server = socket.connectToServer();
    opened.push(socket.url());
    cuts.push(async () => {
      await server.close();
      await socket.close({ code: 1012 });
    });
  });
  const id = await start(request, "waits");
  await taskReached(request, id, "paid", "running");
  const before = await (await request.get(`/api/v1/executions/${id}/history`)).json();
  await page.goto(`/executions/${id}?tab=history`);
  await expect(page.getByText(`${before.events.length} events`)).toBeVisible();
  await expect.poll(() => cuts.length).toBe(1);
  await cuts[0]?.();
  await request.post(`/api/v1/executions/${id}:signal`, { data: { name: "paid", payload: {} } });
  await expect(page.getByText("Workflow completed")).toBeVisible();
  const { events } = await (await request.get(`/api/v1/executions/${id}/history`)).json();
  const shown = await page.getByTestId("events").getByRole("listitem").allTextContents();
  const sequences = shown.map((text) => Number.parseInt(text, 10));
  expect(sequences).toEqual(events.map((event: { sequence: number }) => event.sequence));
  expect(new URL(opened[1] ?? "").searchParams.get("after")).toBe(String(before.events.length));
});

test("the page says since when it is not live, and becomes live again @S0-96", async ({ page }) => {
  let refuse = false;
  const sockets: { close: (options: { code: number }) => Promise<void> }[] = [];
  await page.routeWebSocket(/v1\/events\/ws/, async (socket) => {
    if (refuse) {
      await socket.close({ code: 1013 });
      return;
    }
    socket.connectToServer();
    sockets.push(socket);
  });
  await page.goto("/executions");
  await live(page);
  refuse = true;
  await sockets[0]?.close({ code: 1012 });
  await expect(page.getByRole("status").filter({ hasText: /Not live for/ })).toBeVisible();
  refuse = false;
  await live(page);
});

test("two tabs show the same change", async ({ page, context, request }) => {
  const id = await start(request, "waits");
  const other = await context.newPage();
  for (const tab of [page, other]) {
    await tab.goto("/executions");
    await live(tab);
    await expect(rows(tab).filter({ hasText: id })).toContainText("Running");
  }
  await request.post(`/api/v1/executions/${id}:signal`, { data: { name: "paid", payload: {} } });
  for (const tab of [page, other]) {
    await expect(rows(tab).filter({ hasText: id })).toContainText("Completed");
  }
});
