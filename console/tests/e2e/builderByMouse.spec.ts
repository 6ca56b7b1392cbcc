/** The builder of people who do not program: values are picked, and conditions are words. */

import type { Locator } from "@playwright/test";
import {
  blank,
  edge,
  expect,
  named,
  palette,
  stage,
  state,
  task,
  test,
  write,
  written,
} from "./builder";
import { clean } from "./fixtures";

const ACTIONS_MAX = 25;

test("a first workflow is made and tried by mouse in few actions @S0-133", async ({ page }) => {
  let actions = 0;
  const act = async (step: Promise<unknown>) => {
    actions += 1;
    await step;
  };
  const panel = (id: string): Locator => page.getByRole("region", { name: `Task ${id}` });
  const entry = (name: string) => palette(page).getByRole("button", { name, exact: true });
  await page.goto("/workflows/new");
  await act(page.getByRole("button", { name: "Blank workflow" }).click());
  await act(page.getByRole("tab", { name: "Properties" }).click());
  const workflow = page.getByRole("region", { name: "Workflow", exact: true });
  await act(workflow.getByRole("textbox", { name: "Name", exact: true }).fill(named("first")));
  await act(page.getByRole("tab", { name: "Run" }).click());
  const input = page.getByRole("group", { name: "Input" }).getByRole("textbox");
  await act(input.fill('{"amount": 250}'));
  await act(page.getByRole("button", { name: "Dry run", exact: true }).click());
  await act(entry("Decision").first().click());
  const words = panel("decision").getByRole("group", { name: "In words" }).first();
  await act(words.getByLabel("If").selectOption({ label: "amount of the input" }));
  await act(words.getByLabel("compares").selectOption({ label: "is greater than" }));
  await act(words.getByLabel("with").fill("100"));
  await act(entry("Approval").first().click());
  const title = panel("approval").getByLabel(/^Title/);
  await act(title.fill("Approve "));
  await act(title.locator("..").getByRole("button", { name: "Pick a value" }).click());
  await act(page.getByRole("menuitem", { name: /^amount of the input/ }).click());
  await expect(title).toHaveValue("Approve {{input.amount}}");
  await act(task(page, "decision").click());
  await act(entry("noop").first().click());
  await act(page.getByRole("tab", { name: "Run" }).click());
  await act(page.getByRole("button", { name: "Dry run", exact: true }).click());
  await expect(edge(page, "decision", "approval").locator("[data-value]")).toContainText("yes");
  await expect(edge(page, "decision", "noop").locator("[data-value]")).toHaveCount(0);
  await act(page.getByRole("button", { name: "Save", exact: true }).click());
  await act(page.getByRole("button", { name: "Save as a new workflow" }).click());
  await expect(state(page)).toHaveText("Saved as version 1");
  const text = await written(page);
  expect(text).toContain('expression: "input.amount > 100"');
  test.info().annotations.push({
    type: "budget",
    description: `first workflow by mouse: ${actions} actions (at most ${ACTIONS_MAX})`,
  });
  expect(actions).toBeLessThanOrEqual(ACTIONS_MAX);
});

test("a canvas beyond the screen has an overview that moves it @S1-100", async ({ page }) => {
  await blank(page);
  await expect(page.getByTestId("minimap")).toHaveCount(0);
  const tasks = Array.from({ length: 30 }, (_, at) => ({
    id: `t${at}`,
    taskRef: "noop",
    ...(at && { dependsOn: [`t${at - 1}`] }),
  }));
  const metadata = { name: "long" };
  await write(
    page,
    JSON.stringify({ apiVersion: "workflow.io/v1", kind: "Workflow", metadata, spec: { tasks } }),
  );
  await expect(task(page, "t29")).toBeVisible();
  for (let turn = 0; turn < 6; turn += 1) {
    await stage(page).getByRole("button", { name: "Zoom in" }).click();
  }
  const map = page.getByTestId("minimap");
  const box = await map.boundingBox();
  await map.click({ position: { x: 3, y: (box?.height ?? 8) / 2 } });
  await expect(task(page, "t0")).toBeInViewport();
  await expect(task(page, "t29")).not.toBeInViewport();
  await map.click({ position: { x: (box?.width ?? 8) - 3, y: (box?.height ?? 8) / 2 } });
  await expect(task(page, "t29")).toBeInViewport();
  await clean(page);
});
