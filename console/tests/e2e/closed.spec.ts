import { type APIRequestContext, expect, type Page } from "@playwright/test";
import { expecting, live, test } from "./fixtures";

/** A closed installation of its own, which these tests may kill, one after the other. */
test.describe.configure({ mode: "serial" });
test.use({ baseURL: process.env.CLOSED_URL ?? "http://127.0.0.1:1" });

const email = process.env.CLOSED_EMAIL ?? "";
const password = process.env.CLOSED_PASSWORD ?? "";
const WORKFLOW = `
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: waits}
spec:
  tasks:
    - {id: paid, wait: {event: paid}}
    - {id: thank, taskRef: transform, input: {source: thanks, pipeline: []}, dependsOn: [paid]}
`;

async function signIn(page: Page): Promise<void> {
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

async function bearer(request: APIRequestContext): Promise<{ authorization: string }> {
  const opened = await request.post("/api/v1/auth/login", { data: { email, password } });
  return { authorization: `Bearer ${(await opened.json()).accessToken}` };
}

test("a page asks for a sign-in and is shown after it", async ({ page }) => {
  expecting("401");
  expecting("WebSocket");
  await page.goto("/console/settings");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Sign in to Flowmesh");
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill("not the password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert")).toContainText("You are not signed in");
  await signIn(page);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Settings");
  await expect(page.getByText("Signed in as")).toContainText(email);
  await live(page);
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Sign in to Flowmesh");
});

test("the next page after a sign-in is never one of another server", async ({ page }) => {
  expecting("401");
  expecting("WebSocket");
  await page.goto("/console/login?next=%2F%2Fevil.example%2F");
  await signIn(page);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Home");
  expect(new URL(page.url()).origin).toBe(new URL(process.env.CLOSED_URL ?? "").origin);
});

test("a killed server is shown, and the page resumes without gap or repeat @S0-96", async ({
  page,
  request,
}) => {
  expecting("401");
  expecting("WebSocket");
  expecting("ERR_CONNECTION");
  const headers = await bearer(request);
  const yaml = { ...headers, "content-type": "application/yaml" };
  await request.post("/api/v1/workflows", { headers: yaml, data: WORKFLOW });
  const started = await request.post("/api/v1/workflows/waits/start", {
    headers,
    data: { input: {} },
  });
  const { executionId } = await started.json();
  await page.goto(`/console/executions/${executionId}?tab=history`);
  await signIn(page);
  await live(page);
  await expect(page.getByText("Workflow started")).toBeVisible();
  const { pathname } = new URL(page.url());
  expect(pathname).toBe(`/console/executions/${executionId}`);
  await request.post(`${process.env.CONTROL_URL}/kill`);
  await expect(page.getByRole("status").filter({ hasText: /Not live for/ })).toBeVisible();
  await expect(page.getByText("Workflow started")).toBeVisible();
  await request.post(`${process.env.CONTROL_URL}/start`, { timeout: 60_000 });
  await expect(page.getByRole("status").filter({ hasText: /^Live$/ })).toBeVisible({
    timeout: 30_000,
  });
  const again = await bearer(request);
  const signal = { headers: again, data: { name: "paid", payload: {} } };
  await request.post(`/api/v1/executions/${executionId}:signal`, signal);
  await expect(page.getByText("Workflow completed")).toBeVisible({ timeout: 30_000 });
  const answer = await request.get(`/api/v1/executions/${executionId}/history`, { headers: again });
  const { events } = await answer.json();
  const shown = await page.getByTestId("events").getByRole("listitem").allTextContents();
  expect(shown.map((text) => Number.parseInt(text, 10))).toEqual(
    events.map((event: { sequence: number }) => event.sequence),
  );
});
