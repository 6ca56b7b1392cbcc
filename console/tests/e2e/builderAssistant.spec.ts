import { blank, edit, expect, named, sourceOf, task, test, written } from "./builder";

test("a sentence becomes a draft that changes nothing until it is accepted @S0-09", async ({
  page,
}) => {
  await blank(page);
  const before = await written(page);
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Draft from a sentence" }).click();
  const dialog = page.getByRole("dialog");
  await dialog
    .getByLabel("Goal of the workflow")
    .fill("Every Monday at 9, fetch https://example.com/report, then polish the trophy.");
  await dialog.getByRole("button", { name: "Draft", exact: true }).click();
  const changes = dialog.getByRole("region", { name: "Changes" });
  await expect(changes).toContainText("https://example.com/report");
  await expect(dialog.getByRole("region", { name: "Open questions" })).toContainText("polish");
  await expect(dialog).toContainText("Drafted by offline (rules)");
  await page.screenshot({ path: test.info().outputPath("draft.png") });
  await dialog.getByRole("button", { name: "Back" }).click();
  expect(await written(page), "a draft that is left changes nothing").toBe(before);
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Draft from a sentence" }).click();
  await dialog.getByLabel("Goal of the workflow").fill("Wait 5 minutes, then log done.");
  await dialog.getByRole("button", { name: "Draft", exact: true }).click();
  await dialog.getByRole("button", { name: "Accept the draft" }).click();
  await expect(dialog).toBeHidden();
  expect(await written(page)).toContain("taskRef: delay");
  await page.getByRole("button", { name: "Undo" }).click();
  expect(await written(page), "one undo takes the draft back").toBe(before);
});

const CHAIN = (name: string): string => `apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: ${name}}
spec:
  tasks:
    - {id: archive, taskRef: delay, input: {duration: 300ms}}
    - {id: notify, taskRef: delay, input: {duration: 300ms}, dependsOn: [archive]}
`;

test("proposals of the optimizer are a diff that is accepted or left @S0-158", async ({
  page,
  request,
}) => {
  const name = named("optimized");
  await edit(page, request, name, CHAIN(name));
  await expect(task(page, "notify")).toBeVisible();
  for (let run = 0; run < 3; run += 1) {
    const answer = await request.post(`/workflows/${name}/execute`, { data: { input: {} } });
    expect((await answer.json()).status).toBe("completed");
  }
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Proposals of the optimizer" }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("run notify beside archive");
  await expect(dialog.getByRole("region", { name: "Changes" })).toContainText("dependsOn");
  await page.screenshot({ path: test.info().outputPath("proposals.png") });
  await dialog.getByRole("button", { name: "Accept these edits" }).click();
  await expect(dialog).toBeHidden();
  expect(await written(page)).not.toContain("dependsOn");
  expect(await sourceOf(request, name), "nothing is stored").toContain("dependsOn");
});
