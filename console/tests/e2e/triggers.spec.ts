import { clean, expect, test } from "./fixtures";

const ROW = { nightly: /nightly/, hook: /hook/ };

test("a trigger is paused and resumed @S1-117", async ({ page, request }) => {
  await page.goto("/triggers?workflow=settlement");
  const row = page.getByRole("row", { name: ROW.nightly });
  await expect(row).toContainText("0 2 * * *");
  await row.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
  await expect(row).toContainText("Paused");
  const listed = await (await request.get("/api/v1/workflows/settlement/triggers")).json();
  const paused = listed.triggers.filter((each: { paused: boolean }) => each.paused);
  expect(paused.map((each: { id: string }) => each.id)).toEqual(["nightly"]);
  await row.getByRole("button", { name: "Resume" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Resume" }).click();
  await expect(row).not.toContainText("Paused");
});

test("a trigger is fired with an input @S1-117", async ({ page, request }) => {
  await page.goto("/triggers?workflow=settlement");
  await page.getByRole("row", { name: ROW.nightly }).getByRole("button", { name: "Fire" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Input (JSON)").fill("{no");
  await expect(dialog.getByRole("alert")).toContainText("This is not JSON");
  await dialog.getByLabel("Input (JSON)").fill('{"day": "2026-11-01"}');
  await clean(page);
  await dialog.getByRole("button", { name: "Fire now" }).click();
  const link = dialog.getByRole("link");
  const id = (await link.textContent()) ?? "";
  const started = await (await request.get(`/api/v1/executions/${id}`)).json();
  expect(started.input).toEqual({ day: "2026-11-01" });
});

test("runs of a schedule are counted by day, and a backfill starts each once @S1-117", async ({
  page,
  request,
}) => {
  await page.goto("/triggers?workflow=settlement&chosen=settlement/nightly");
  const causes = page.getByRole("region", { name: "Runs of nightly" });
  await causes.getByLabel("From").fill("2026-03-01");
  await causes.getByLabel("To, UTC").fill("2026-03-05");
  await expect(causes.getByRole("list", { name: "Runs by day" })).toBeVisible();
  await clean(page);
  await causes.getByRole("button", { name: "Backfill 4 runs" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Start 4 executions" }).click();
  await expect(dialog.getByRole("status")).toHaveText("4 accepted, 0 failed of 4");
  const count = async () => {
    const query = "filter=workflow%20%3D%20settlement";
    return (await (await request.get(`/api/v1/executions:count?${query}`)).json()).count;
  };
  const before = await count();
  await dialog.getByRole("button", { name: "Run it again" }).click();
  await expect(dialog.getByRole("status")).toHaveText("4 accepted, 0 failed of 4");
  expect(await count()).toBe(before);
});

test("the runs of a webhook cannot be listed, and the page says why", async ({ page }) => {
  await page.goto("/triggers?workflow=settlement");
  const button = page.getByRole("row", { name: ROW.hook }).getByRole("button", { name: "Runs" });
  await expect(button).toBeDisabled();
  await expect(button).toHaveAttribute("title", "Calls of a webhook are not kept.");
});
