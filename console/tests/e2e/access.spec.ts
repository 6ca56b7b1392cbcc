import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type APIRequestContext, expect, type Page } from "@playwright/test";
import { clean, expecting, test } from "./fixtures";
import { signIn, staff } from "./staff";

test.use({ baseURL: staff.url ?? "http://127.0.0.1:1" });

async function statusOf(request: APIRequestContext, secret: string): Promise<number> {
  const headers = { authorization: `Bearer ${secret}` };
  return (await request.get("/api/v1/auth/me", { headers })).status();
}

function row(page: Page, text: string) {
  return page.getByRole("row").filter({ hasText: text });
}

test("users: a role is given and taken, and a user is disabled @S1-111", async ({
  page,
  request,
}) => {
  await signIn(page, "owner", "/access");
  const viewer = row(page, staff.viewer ?? "");
  await expect(viewer).toContainText("viewer of default");
  await clean(page);
  await viewer.getByRole("button", { name: "Roles" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("On").selectOption({ label: "default / default / cart" });
  await dialog.getByLabel("Role", { exact: true }).selectOption("editor");
  await dialog.getByRole("button", { name: "Give the role" }).click();
  await expect(dialog.getByRole("listitem")).toHaveText([
    /viewer of default/,
    /editor of default \/ default \/ cart/,
  ]);
  await clean(page);
  await dialog.getByRole("button", { name: "Remove the role viewer of default" }).click();
  await expect(dialog.getByRole("listitem")).toHaveText([/editor of default \/ default \/ cart/]);
  await dialog.getByRole("button", { name: "Close" }).click();
  await expect(viewer).toContainText("editor of default / default / cart");
  const login = { data: { email: staff.viewer, password: staff.password } };
  expect((await request.post("/api/v1/auth/login", login)).status()).toBe(200);
  await viewer.getByRole("button", { name: "Disable" }).click();
  await dialog.getByRole("button", { name: "Disable" }).click();
  await expect(viewer).toContainText("disabled");
  expect((await request.post("/api/v1/auth/login", login)).status()).toBe(401);
  await viewer.getByRole("button", { name: "Enable" }).click();
  await dialog.getByRole("button", { name: "Enable" }).click();
  await expect(viewer).toContainText("enabled");
});

test("a person is invited, and the token is shown once @S1-111", async ({ page, request }) => {
  await signIn(page, "owner", "/access");
  await page.getByRole("button", { name: "Invite a person" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("E-mail").fill("dan@shop.example");
  await dialog.getByLabel("Role", { exact: true }).selectOption("editor");
  await dialog.getByRole("button", { name: "Invite", exact: true }).click();
  const invitation = await dialog.getByLabel("Token of the invitation").textContent();
  const user = { email: "dan@shop.example", password: staff.password, invitation };
  expect((await request.post("/api/v1/auth/register", { data: user })).status()).toBe(201);
});

test("an API key is shown once, works, and is revoked @S3-124", async ({ page, request }) => {
  await signIn(page, "owner", "/access?tab=keys");
  await page.getByLabel("Company, organization or project").selectOption({
    label: "default / default / cart",
  });
  await page.getByRole("button", { name: "Create an API key" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill("loader");
  await dialog.getByLabel("Role", { exact: true }).selectOption("worker");
  await dialog.getByLabel("Expiry").selectOption("in 7 days");
  await dialog.getByLabel("Queues").fill("fast, slow");
  await clean(page);
  await dialog.getByRole("button", { name: "Create the key" }).click();
  const secret = (await dialog.getByLabel("API key", { exact: true }).textContent()) ?? "";
  expect(secret).toMatch(/^fm_/);
  await clean(page);
  await dialog.getByRole("button", { name: "Done" }).click();
  const key = row(page, "loader");
  await expect(key).toContainText("fast, slow");
  await expect(key).toContainText("in 7 d");
  await expect(page.getByText(secret)).toHaveCount(0);
  expect(await statusOf(request, secret)).toBe(200);
  await key.getByRole("button", { name: "Rotate" }).click();
  await dialog.getByRole("button", { name: "Rotate the key" }).click();
  const second = (await dialog.getByLabel("API key", { exact: true }).textContent()) ?? "";
  await dialog.getByRole("button", { name: "Done" }).click();
  expect(second).not.toBe(secret);
  expect(await statusOf(request, second)).toBe(200);
  await key.getByRole("button", { name: "Revoke" }).click();
  await dialog.getByRole("button", { name: "Revoke the key" }).click();
  await expect(page.getByText("No API keys")).toBeVisible();
  await expect.poll(() => statusOf(request, secret)).toBe(401);
  expect(await statusOf(request, second)).toBe(401);
});

test("a provider is added, tested, used, changed and deleted @S1-118", async ({
  page,
  browser,
}) => {
  await signIn(page, "owner", "/access?tab=providers");
  await page.getByRole("button", { name: "Add a provider" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill("Corp");
  await dialog.getByLabel("Issuer").fill(staff.issuer ?? "");
  await dialog.getByLabel("Client id").fill(staff.client ?? "");
  await dialog.getByLabel("Client secret").fill(staff.secret ?? "");
  await dialog.getByRole("button", { name: "Add a rule" }).click();
  const rule = dialog.getByRole("group", { name: "Rule 1" });
  await rule.getByLabel("Claim").fill("groups");
  await rule.getByLabel("Has the value").fill("builders");
  await rule.getByLabel("Role", { exact: true }).selectOption("editor");
  await rule.getByLabel("On").selectOption({ label: "default / default / cart" });
  await clean(page);
  await dialog.getByRole("button", { name: "Add a provider" }).click();
  const provider = row(page, "Corp");
  await expect(provider).toContainText("offered");
  await provider.getByRole("button", { name: "Test" }).click();
  await dialog.getByRole("button", { name: "Run the test" }).click();
  await expect(dialog.getByRole("status")).toContainText("The provider answers");
  await expect(dialog.getByRole("status")).toContainText("no rule gives it a role");
  await dialog.getByLabel("Claims of a user").fill('{"groups": ["builders"], "name": "Ada"');
  await expect(dialog.getByRole("button", { name: "Run the test" })).toBeDisabled();
  await dialog.getByLabel("Claims of a user").fill('{"groups": ["builders"], "name": "Ada"}');
  await dialog.getByRole("button", { name: "Run the test" }).click();
  await expect(dialog.getByRole("status")).toContainText("editor of default / default / cart");
  await clean(page);
  await dialog.getByRole("button", { name: "Close" }).click();

  const other = await browser.newPage({ baseURL: staff.url ?? "" });
  await other.goto("/login");
  await other.getByRole("link", { name: "Sign in with Corp" }).click();
  await expect(other.getByRole("heading", { level: 1 })).toHaveText("Home");
  await other.goto("/settings");
  await expect(other.getByText("Signed in as")).toContainText("ada@corp.example");
  await other.close();
  await page.getByRole("tab", { name: "Users" }).click();
  await expect(row(page, "ada@corp.example")).toContainText("editor of default / default / cart");
  await page.getByRole("tab", { name: "Identity providers" }).click();

  await provider.getByRole("button", { name: "Edit" }).click();
  await dialog.getByRole("checkbox", { name: /^Off/ }).check();
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(provider).toContainText("off");
  await provider.getByRole("button", { name: "Delete" }).click();
  await dialog.getByRole("button", { name: "Delete the provider" }).click();
  await expect(page.getByText("No identity providers")).toBeVisible();
});

test("a SAML provider is added, and a wrong setting is shown @S1-118", async ({ page }) => {
  expecting("400");
  await signIn(page, "owner", "/access?tab=providers");
  await page.getByRole("button", { name: "Add a provider" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill("Saml Corp");
  await dialog.getByLabel("Protocol").selectOption("saml");
  await dialog.getByLabel("Issuer").fill("https://idp.example/metadata");
  await dialog.getByLabel("Entity id of Flowmesh").fill("flowmesh");
  await dialog.getByLabel("Page for sign-in requests").fill("https://idp.example/sso");
  await dialog.getByLabel("Certificates").fill("not a certificate");
  await dialog.getByRole("button", { name: "Add a provider" }).click();
  await expect(dialog.getByRole("alert")).toContainText("PROVIDER_INVALID");
  await dialog.getByLabel("Certificates").fill(staff.certificate ?? "");
  await clean(page);
  await dialog.getByRole("button", { name: "Add a provider" }).click();
  const provider = row(page, "Saml Corp");
  await expect(provider).toContainText("SAML 2.0");
  await provider.getByRole("button", { name: "Test" }).click();
  await dialog.getByRole("button", { name: "Run the test" }).click();
  await expect(dialog.getByRole("status")).toContainText("no rule gives it a role");
  await expect(dialog.getByText("/acs")).toBeVisible();
  await dialog.getByRole("button", { name: "Close" }).click();
  await provider.getByRole("button", { name: "Delete" }).click();
  await dialog.getByRole("button", { name: "Delete the provider" }).click();
  await expect(page.getByText("No identity providers")).toBeVisible();
});

test("a user lets the command on this machine sign in @S1-118", async ({ page, request }) => {
  expecting("400");
  const answers: URLSearchParams[] = [];
  const verifier = "v".repeat(43);
  const command = createServer((asked, answer) => {
    answers.push(new URL(asked.url ?? "", "http://127.0.0.1").searchParams);
    answer.end("You may close this window.");
  });
  await new Promise<void>((listens) => command.listen(0, "127.0.0.1", listens));
  const redirect = `http://127.0.0.1:${(command.address() as AddressInfo).port}/callback`;
  const asked = (redirectUri: string) =>
    `/authorize?${new URLSearchParams({
      client_id: "flowmesh-cli",
      redirect_uri: redirectUri,
      code_challenge: createHash("sha256").update(verifier).digest("base64url"),
      state: "of this login",
    })}`;
  await signIn(page, "admin", asked("http://evil.example:5000/callback"));
  await page.getByRole("button", { name: "Let it sign in" }).click();
  await expect(page.getByRole("alert")).toContainText("REQUEST_INVALID");
  await page.goto(asked(redirect));
  await expect(page.getByText(`act as ${staff.admin}`)).toBeVisible();
  await clean(page);
  await page.getByRole("button", { name: "Let it sign in" }).click();
  await expect(page.getByText("You may close this window.")).toBeVisible();
  command.close();
  const [answer] = answers;
  expect(answer?.get("state")).toBe("of this login");
  const data = {
    clientId: "flowmesh-cli",
    redirectUri: redirect,
    code: answer?.get("code"),
    codeVerifier: verifier,
  };
  const opened = await request.post("/api/v1/auth/loopback:complete", { data });
  expect((await opened.json()).user.email).toBe(staff.admin);
});

test("own sessions: one is ended, and then all @S1-118", async ({ page, request }) => {
  await signIn(page, "admin", "/settings");
  const data = { email: staff.admin, password: staff.password };
  const opened = await (await request.post("/api/v1/auth/login", { data })).json();
  await page.reload();
  const sessions = page.getByRole("region", { name: "Your sessions" });
  await expect(sessions.getByText("this one")).toHaveCount(1);
  await clean(page);
  expect(await statusOf(request, opened.accessToken)).toBe(200);
  const end = sessions.getByRole("button", { name: /^End the session from/ });
  // The newest of the others; the older ones are of the registration and of other tests.
  await expect(end.first()).toBeVisible();
  const others = await end.count();
  await end.first().click();
  await expect(end).toHaveCount(others - 1);
  await expect.poll(() => statusOf(request, opened.accessToken)).toBe(401);
  await sessions.getByRole("button", { name: "End all sessions" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "End all sessions" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Sign in to Flowmesh");
});

test("the page has only what the caller may do @S1-111", async ({ page }) => {
  await signIn(page, "admin", "/access");
  await expect(page.getByRole("tab")).toHaveText(["Users", "API keys"]);
  await expect(row(page, staff.admin ?? "")).toContainText("admin of default / default / cart");
  await expect(page.getByRole("button", { name: "Disable" })).toHaveCount(0);
  await row(page, staff.admin ?? "")
    .getByRole("button", { name: "Roles" })
    .click();
  const role = page.getByRole("dialog").getByLabel("Role", { exact: true });
  await expect(role.getByRole("option")).toHaveText(["viewer", "editor", "admin"]);
  await page.keyboard.press("Escape");
  await page.context().clearCookies();
  await signIn(page, "viewer", "/access");
  await expect(page.getByText("There is nothing that you may manage")).toBeVisible();
});

test("a provider names a plugin of logins, which is checked @S1-193", async ({ page }) => {
  expecting("400");
  await signIn(page, "owner", "/plugins");
  const catalogue = page.getByRole("region", { name: "Catalogue" });
  await catalogue
    .getByRole("row", { name: "teams" })
    .getByRole("button", { name: "Install" })
    .click();
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("It is installed for all projects");
  await expect(dialog.getByRole("checkbox", { name: /^For all projects/ })).toHaveCount(0);
  await dialog.getByRole("button", { name: "Install" }).click();
  await expect(row(page, "teams").first()).toContainText("for all projects");

  await page.goto("/access?tab=providers");
  await page.getByRole("button", { name: "Add a provider" }).click();
  await dialog.getByLabel("Name").fill("Hooked");
  await dialog.getByLabel("Issuer").fill(staff.issuer ?? "");
  await dialog.getByLabel("Client id").fill(staff.client ?? "");
  await dialog.getByLabel("Client secret").fill(staff.secret ?? "");
  await dialog.getByLabel("Login plugin").fill("nobody");
  await dialog.getByRole("button", { name: "Add a provider" }).click();
  await expect(dialog.getByRole("alert")).toContainText(
    "no login plugin `nobody` is installed for all projects",
  );
  await clean(page);
  await dialog.getByLabel("Login plugin").fill("teams");
  await dialog.getByRole("button", { name: "Add a provider" }).click();
  const provider = row(page, "Hooked");
  await provider.getByRole("button", { name: "Edit" }).click();
  await expect(dialog.getByLabel("Login plugin")).toHaveValue("teams");
  await dialog.getByRole("button", { name: "Back" }).click();
  await provider.getByRole("button", { name: "Delete" }).click();
  await dialog.getByRole("button", { name: "Delete the provider" }).click();
  await expect(page.getByText("No identity providers")).toBeVisible();
});
