import { clean, expect, test } from "./fixtures";
import { signIn, staff } from "./staff";

test.use({ baseURL: staff.url ?? "http://127.0.0.1:1" });

test("a plugin is installed for all projects by a checkbox @S1-193", async ({ page }) => {
  await signIn(page, "owner", "/plugins");
  const catalogue = page.getByRole("region", { name: "Catalogue" });
  await catalogue
    .getByRole("row", { name: "iban-check" })
    .getByRole("button", { name: "Install" })
    .click();
  const dialog = page.getByRole("dialog", { name: "Install iban-check" });
  const shared = dialog.getByRole("checkbox", { name: /^For all projects/ });
  await expect(shared).not.toBeChecked();
  await shared.check();
  await clean(page);
  await dialog.getByRole("button", { name: "Install" }).click();
  await expect(dialog).toBeHidden();
  const installed = page
    .getByRole("region", { name: /plugins? installed$/ })
    .getByRole("row", { name: "iban-check" });
  await expect(installed).toContainText("for all projects");
  const headers = { "flowmesh-namespace": staff.cart ?? "" };
  const elsewhere = await page.request.get("/api/v1/plugins", { headers });
  const names = (await elsewhere.json()).plugins?.map(({ name }: { name: string }) => name);
  expect(names).toContain("iban-check");
  await installed.getByRole("button", { name: "Remove" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await expect(installed).toBeHidden();
});
