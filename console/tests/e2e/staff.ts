/** A closed installation with an owner, an admin of a project, a viewer, and a provider. */

import type { Page } from "@playwright/test";
import { expect, expecting } from "./fixtures";

export const staff = JSON.parse(process.env.STAFF ?? "{}") as Record<string, string>;

export async function signIn(page: Page, who: string, next: string): Promise<void> {
  expecting("401");
  expecting("WebSocket");
  await page.goto(`/login?next=${encodeURIComponent(next)}`);
  await page.getByLabel("E-mail").fill(staff[who] ?? "");
  await page.getByLabel("Password").fill(staff.password ?? "");
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page.getByRole("heading", { level: 1 })).not.toHaveText("Sign in to Flowmesh");
}
