/** A page that fails its test on console errors, and the executions of the seed. */

import AxeBuilder from "@axe-core/playwright";
import { type APIRequestContext, test as base, expect, type Page } from "@playwright/test";

/** Ids of the seeded executions by name. */
const ids = JSON.parse(process.env.SEEDED ?? "{}") as Record<string, string>;

export function seeded(name: string): string {
  const id = ids[name];
  if (!id) throw new Error(`the seed has no execution ${name}`);
  return id;
}

export const test = base.extend<{ quiet: undefined }>({
  quiet: [
    async ({ page }, use, info) => {
      const errors: string[] = [];
      page.on("console", (message) => {
        if (message.type() === "error") errors.push(message.text());
      });
      page.on("pageerror", (error) => errors.push(error.message));
      await use(undefined);
      const expected = info.annotations.filter((each) => each.type === "expects");
      const unexpected = errors.filter(
        (text) => !expected.some((each) => text.includes(each.description ?? "")),
      );
      expect(unexpected, "errors in the console of the browser").toEqual([]);
    },
    { auto: true },
  ],
});

/** Allow console errors with a text, such as those of a request that has to fail. */
export function expecting(text: string): void {
  test.info().annotations.push({ type: "expects", description: text });
}

/** Start an execution; returns its id. */
export async function start(
  request: APIRequestContext,
  workflow: string,
  input: object = {},
): Promise<string> {
  const answer = await request.post(`/api/v1/workflows/${workflow}/start`, { data: { input } });
  expect(answer.ok(), await answer.text()).toBe(true);
  return (await answer.json()).executionId;
}

/** Wait until an execution has a status. */
export async function reached(
  request: APIRequestContext,
  id: string,
  status: string,
  timeout = 15_000,
): Promise<void> {
  await expect
    .poll(async () => (await (await request.get(`/api/v1/executions/${id}`)).json()).status, {
      timeout,
    })
    .toBe(status);
}

/** Wait until a task has begun or ended. */
export async function taskReached(
  request: APIRequestContext,
  id: string,
  task: string,
  status: string,
): Promise<void> {
  await expect
    .poll(
      async () =>
        (await (await request.get(`/api/v1/executions/${id}`)).json()).tasks[task]?.status,
    )
    .toBe(status);
}

/** The page follows its execution or the namespace. */
export async function live(page: Page): Promise<void> {
  await expect(page.getByRole("status").filter({ hasText: /^Live$/ })).toBeVisible();
}

/** The rows of the list of executions. */
export function rows(page: Page) {
  return page.getByTestId("executions").locator('[role="rowgroup"] [role="row"]');
}

/** Show the namespace with the many executions. */
export async function many(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const state = { theme: "system", density: "normal", zone: "", singleKeys: true, actor: "" };
    const kept = { state: { ...state, railOpen: true, namespace: "many" }, version: 1 };
    localStorage.setItem("flowmesh.preferences", JSON.stringify(kept));
  });
}

export const SHOP = {
  order: { order: "o-1", amount: 12.5 },
  declined: { order: "o-2", amount: 99, card: "declined" },
};

export async function theme(page: Page, name: "light" | "dark"): Promise<void> {
  await page.emulateMedia({ colorScheme: name });
}

const STANDARDS = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"];
/** Rules that look at colours, the only thing in which the themes differ. */
const COLOURS = ["color-contrast", "link-in-text-block"];

/** Nothing on the page breaks WCAG 2.2 AA, in either theme. */
export async function clean(page: Page): Promise<void> {
  await theme(page, "light");
  await without(page, axe(page).withTags(STANDARDS), "light");
  await theme(page, "dark");
  await without(page, axe(page).withRules(COLOURS), "dark");
  await theme(page, "light");
}

/** Without the page of its own that it opens for results of frames: there are none. */
function axe(page: Page): AxeBuilder {
  return new AxeBuilder({ page }).setLegacyMode(true).options({ resultTypes: ["violations"] });
}

async function without(page: Page, checks: AxeBuilder, name: "light" | "dark"): Promise<void> {
  await expect(page.locator("html")).toHaveAttribute("data-theme", name);
  const { violations } = await checks.analyze();
  const shown = violations.map((each) => ({
    rule: each.id,
    nodes: each.nodes.map((node) => `${node.target} ${node.failureSummary}`),
  }));
  expect(shown, `violations in the ${name} theme`).toEqual([]);
}

export { expect };
