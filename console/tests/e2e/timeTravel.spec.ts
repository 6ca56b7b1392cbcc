import type { APIRequestContext, Page } from "@playwright/test";
import { expect, reached, seeded, test } from "./fixtures";

const MOMENTS = 50;
/** The words of the page for each status of the server. */
const WORDS: Record<string, readonly string[]> = {
  pending: ["Pending", "At breakpoint"],
  running: ["Queued", "Running", "Waiting", "Retrying", "On hold", "Needs approval"],
  success: ["Completed"],
  failed: ["Failed"],
  skipped: ["Skipped"],
  canceled: ["Canceled"],
};
/** Statuses of the page that the server calls running. */
const OPEN = ["queued", "running", "waiting", "retrying", "onHold", "asking"];

interface State {
  sequence: number;
  event: string;
  nodes: Record<string, { status: string }>;
  counts: Record<string, number>;
}

/** The same moments in each run: a linear congruence over the events. */
function drawn(last: number): number[] {
  let value = 4_711;
  const found = new Set([1, last]);
  while (found.size < Math.min(MOMENTS, last)) {
    value = (value * 48_271) % 2_147_483_647;
    found.add(1 + (value % last));
  }
  return [...found].sort((left, right) => left - right);
}

async function compare(page: Page, request: APIRequestContext, id: string): Promise<number> {
  const { lastSequence } = await (await request.get(`/api/v1/executions/${id}`)).json();
  await page.goto(`/executions/${id}/debug?at=1`);
  await expect(page.getByTestId("moment")).toHaveAttribute("data-sequence", "1");
  const moments = drawn(lastSequence);
  const number = page.getByLabel("Number of the event");
  for (const at of moments) {
    const state: State = await (
      await request.get(`/api/v1/executions/${id}/state?at=${at}`)
    ).json();
    expect(state.sequence).toBe(at);
    await number.fill(String(at));
    await number.press("Enter");
    await expect(page.getByTestId("moment")).toHaveAttribute("data-sequence", String(at));
    expect(labelOf(state.event)).toBe(await page.getByTestId("moment").textContent());
    const shown = await page.evaluate(() => ({
      tree: [...document.querySelectorAll('[role="treeitem"]')].map(
        (item) => item.getAttribute("aria-label") ?? "",
      ),
      counts: Object.fromEntries(
        [...document.querySelectorAll('[data-testid="counts"] li')].map((item) => [
          item.getAttribute("data-status") ?? "",
          Number(item.getAttribute("data-count")),
        ]),
      ) as Record<string, number>,
    }));
    for (const label of shown.tree) {
      const [node = "", word = ""] = label.split(", ");
      const status = state.nodes[node]?.status ?? "pending";
      expect(WORDS[status], `${node} at ${at} is ${status}, shown as ${word}`).toContain(word);
    }
    const open = OPEN.reduce((sum, status) => sum + (shown.counts[status] ?? 0), 0);
    expect(open, `open nodes at ${at}`).toBe(state.counts.running ?? 0);
    expect(shown.counts.failed ?? 0, `failed nodes at ${at}`).toBe(state.counts.failed ?? 0);
  }
  return moments.length;
}

function labelOf(type: string): string {
  const words = type.replace(/([a-z])([A-Z])/g, "$1 $2");
  return words.charAt(0) + words.slice(1).toLowerCase();
}

test("fifty moments of a map are those of the server @S0-100 @S0-134", async ({
  page,
  request,
}) => {
  test.setTimeout(180_000);
  expect(await compare(page, request, seeded("map"))).toBe(MOMENTS);
});

test("every moment of a compensated saga is that of the server @S0-134", async ({
  page,
  request,
}) => {
  test.setTimeout(180_000);
  await reached(request, seeded("saga"), "failed");
  expect(await compare(page, request, seeded("saga"))).toBeGreaterThan(8);
  await page.getByRole("button", { name: "Back to live" }).click();
  await expect(page.locator("main > header")).toContainText("Compensated");
});

test("fifty moments of ten thousand events are those of the server @S0-134", async ({
  page,
  request,
}) => {
  test.setTimeout(300_000);
  await reached(request, seeded("ledger"), "completed", 120_000);
  expect(await compare(page, request, seeded("ledger"))).toBe(MOMENTS);
});
