import { expect, reached, start, test } from "./fixtures";

// The vector of the SDKs: the key is the bytes 0 to 31.
const KEY = "k1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SEALED = {
  $sealed: {
    kid: "k1",
    data: "VHoXGR6e5DwDQZCkkIlTOS6takmzgIQRtF39nrTGlIA/SdTpGyLdVpsGzjSlnY2U",
  },
};

test("a sealed value is opened with a key that stays in the page", async ({ page, request }) => {
  const id = await start(request, "hello", { order: SEALED });
  await reached(request, id, "completed");
  const sent: string[] = [];
  page.on("request", (each) => sent.push(each.url() + (each.postData() ?? "")));
  await page.goto(`/executions/${id}?tab=values`);
  await expect(page.getByText("Sealed by the key k1").first()).toBeVisible();
  await expect(page.getByText("4242 4242")).toHaveCount(0);
  await page.getByRole("button", { name: "Open with a key" }).first().click();
  const lines = page.getByLabel("Lines of the file of keys");
  await lines.fill("k1 AAAA");
  await page.getByRole("button", { name: "Use the keys" }).click();
  await expect(page.getByRole("alert")).toContainText("base64 of 32 bytes");
  await lines.fill(KEY);
  await page.getByRole("button", { name: "Use the keys" }).click();
  await expect(page.getByText("4242 4242").first()).toBeVisible();
  const secret = KEY.slice(3, 20);
  expect(sent.filter((each) => each.includes(secret))).toEqual([]);
  const kept = await page.evaluate(() => JSON.stringify([localStorage, sessionStorage]));
  expect(kept).not.toContain(secret);
  await page.reload();
  await expect(page.getByText("Sealed by the key k1").first()).toBeVisible();
});
