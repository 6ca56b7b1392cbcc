/** Steps that the tests of applications share. */

import type { APIRequestContext, Page } from "@playwright/test";
import { expect, test } from "./fixtures";

let made = 0;

/** A name that no other test uses, as applications have it. */
export function appName(base: string): string {
  made += 1;
  return `${base}-${process.pid}-${test.info().workerIndex}-${made}`;
}

/** A small shop: two middlewares, a database, a route with a pipeline. */
export const SHOP = `# The shop of the tests.
name: shop
modules:
  - name: web   # listens
    type: http.server
    config:
      address: ":0"
  - {name: router, type: http.router, config: {prefix: '/api'}}
  - name: cors
    type: http.middleware.cors
  - name: limit
    type: http.middleware.ratelimit
    config:
      requestsPerMinute: 600
  - name: headers
    type: http.middleware.securityheaders
  - name: db
    type: database.workflow
    config: {driver: sqlite, dsn: "data/shop.db"}
  - name: store
    type: persistence.store
    config: {database: db}
    dependsOn: [db]
  - name: queries
    type: api.query

workflows:
  http:
    routes:
      # what is sold
      - method: GET
        path: /api/products
        handler: queries
        middlewares: [cors, limit, headers]
        pipeline:
          steps:
            # first the word
            - name: make
              type: step.set
              config:
                values: {word: lamp}
            - name: respond
              type: step.json_response
              config: {body_from: steps.make}
`;

/** Deploy a document through the API. */
export async function deploy(
  request: APIRequestContext,
  app: string,
  document: string,
): Promise<void> {
  const answer = await request.post(`/api/v1/apps/${app}:deploy`, { data: { document } });
  expect(answer.ok(), await answer.text()).toBe(true);
  await expect.poll(async () => (await stateOf(request, app)).state).toBe("running");
}

export async function stateOf(request: APIRequestContext, app: string) {
  return (await request.get(`/api/v1/apps/${app}`)).json();
}

export async function documentOf(request: APIRequestContext, app: string): Promise<string> {
  return (await request.get(`/api/v1/apps/${app}/source`)).text();
}

/** A deployed application, opened in its builder. */
export async function compose(
  page: Page,
  request: APIRequestContext,
  app: string,
  document: string,
): Promise<void> {
  await deploy(request, app, document);
  await page.goto(`/apps/${app}/edit`);
  await expect(page.getByTestId("stage")).toBeVisible();
  await expect(page.getByTestId("stage").locator("[data-task]").first()).toBeVisible();
  await expect(page.getByRole("region", { name: "Findings" })).toContainText("No findings");
}

/** Move a module by pointer. */
export async function dragModule(page: Page, name: string, dx: number, dy: number): Promise<void> {
  const box = await page.getByTestId("stage").locator(`[data-task="${name}"]`).boundingBox();
  if (!box) throw new Error(`${name} is not drawn`);
  const [x, y] = [box.x + box.width / 3, box.y + box.height / 2];
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x + dx / 2, y + dy / 2);
  await page.mouse.move(x + dx, y + dy);
  await page.mouse.up();
}

/** Deploy the draft through the dialog. */
export async function deployDraft(page: Page, app: string): Promise<void> {
  await page.getByRole("button", { name: "Deploy", exact: true }).click();
  await page.getByRole("button", { name: `Deploy ${app}` }).click();
}

export function tab(page: Page, name: string) {
  return page.getByRole("tab", { name, exact: true });
}

export { expect, test };
