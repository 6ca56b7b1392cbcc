/** Ways of three readers through the console, counted in actions; the seconds are printed. */

import { named, store } from "./builder";
import { expect, expecting, reached, SHOP, start, test } from "./fixtures";

/** Counts what a reader does; each fill, click and choice is one action. */
function journey(name: string, most: number) {
  const begun = performance.now();
  let actions = 0;
  return {
    act: async (step: Promise<unknown>) => {
      actions += 1;
      await step;
    },
    ends: () => {
      const seconds = ((performance.now() - begun) / 1_000).toFixed(1);
      const description = `${name}: ${actions} actions (at most ${most}), ${seconds} s by script`;
      test.info().annotations.push({ type: "budget", description });
      expect(actions, description).toBeLessThanOrEqual(most);
    },
  };
}

test("on call: from home to a held order that goes on @S1-117", async ({ page, request }) => {
  const id = await start(request, "held-orders", SHOP.declined);
  await expect
    .poll(async () => (await request.get(`/api/v1/executions/${id}/explain`)).text())
    .toContain("ON_HOLD");
  await page.goto("/");
  const { act, ends } = journey("on call", 7);
  await act(page.getByRole("link", { name: /held-orders.*on hold/ }).click());
  await act(page.getByRole("link", { name: id }).click());
  await act(page.getByTestId("cause").getByRole("button", { name: "Decide what happens" }).click());
  const panel = page.getByRole("complementary", { name: "Task charge" });
  await expect(panel.getByRole("heading", { name: "CardDeclined" })).toBeVisible();
  await act(panel.getByRole("button", { name: "Retry" }).click());
  const dialog = page.getByRole("dialog");
  await act(dialog.getByLabel(/^Input \(JSON\)/).fill('{"order": "o-2", "amount": 99}'));
  await act(dialog.getByLabel("Reason").fill("another card"));
  await act(dialog.getByRole("button", { name: "Retry" }).click());
  await reached(request, id, "completed");
  ends();
});

test("no programmer: a workflow is run by its form, and its result is read @S0-08", async ({
  page,
  request,
}) => {
  // The statistics of a workflow that has never run are not there.
  expecting("404");
  const name = named("journey");
  await store(
    request,
    `apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: ${name}}
spec:
  inputSchema: {type: object, required: [amount], properties: {amount: {type: number}}}
  tasks:
    - {id: start, taskRef: noop}
  output: {paid: "{{input.amount}}"}
`,
  );
  await page.goto("/");
  const { act, ends } = journey("no programmer", 6);
  await act(page.getByRole("navigation").getByRole("link", { name: "Workflows" }).click());
  await act(page.getByRole("searchbox", { name: /Find workflows/ }).fill(name));
  await act(page.keyboard.press("Enter"));
  const row = page.getByRole("row").filter({ has: page.getByRole("link", { name }) });
  await act(row.getByRole("button", { name: /^Run/ }).click());
  const dialog = page.getByRole("dialog", { name: `Run ${name}` });
  await act(dialog.getByLabel("Amount").fill("12"));
  await act(dialog.getByRole("button", { name: "Start" }).click());
  await expect(page).toHaveURL(/\/executions\/exec-/);
  await expect(page.getByText("Completed", { exact: true }).first()).toBeVisible();
  ends();
});

test("operator: the bottleneck of the workflow that fails most @S1-117", async ({ page }) => {
  await page.goto("/");
  const { act, ends } = journey("operator", 6);
  await act(page.getByRole("navigation").getByRole("link", { name: "Workflows" }).click());
  await act(page.getByRole("combobox", { name: "Order" }).selectOption("Most failures"));
  await expect(page.locator("tbody tr").first()).toContainText(/orders|trips/);
  const row = page.getByRole("row").filter({ has: page.getByRole("link", { name: "trips" }) });
  await act(row.getByRole("button", { name: /last (\d+ )?executions?:.*failed/i }).click());
  await act(page.getByRole("menuitem", { name: /exec-/ }).first().click());
  await act(page.getByRole("tab", { name: "Timeline" }).click());
  await expect(page.getByText("Bottleneck:")).toBeVisible();
  ends();
});
