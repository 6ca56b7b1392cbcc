import { expect, expecting, reached, start, test } from "./fixtures";

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

test("a codec server opens a sealed value, and the gateway gets none", async ({
  page,
  request,
  baseURL,
}) => {
  const id = await start(request, "hello", { order: SEALED });
  await reached(request, id, "completed");
  expecting("status of 403");
  const asked: string[] = [];
  const others: string[] = [];
  let status = 403;
  await page.route("https://codec.example/**", async (route) => {
    const headers = {
      "access-control-allow-origin": baseURL ?? "",
      "access-control-allow-credentials": "true",
      "access-control-allow-headers": "content-type",
    };
    const called = route.request();
    if (called.method() === "OPTIONS") return route.fulfill({ status: 204, headers });
    asked.push(`${called.method()} ${called.url()} ${called.postData()}`);
    return route.fulfill({ status, headers, json: { card: "4242 4242" } });
  });
  page.on("request", (each) => {
    if (!each.url().startsWith("https://codec.example/")) others.push(each.postData() ?? "");
  });
  await page.goto(`/executions/${id}?tab=values`);
  await expect(page.getByText("Sealed by the key k1").first()).toBeVisible();
  expect(asked).toEqual([]);
  await page.getByRole("button", { name: "Open by the codec server" }).first().click();
  await expect(page.getByText("the codec server did not open it").first()).toBeVisible();
  status = 200;
  await page.reload();
  await page.getByRole("button", { name: "Open by the codec server" }).first().click();
  await expect(page.getByText("4242 4242").first()).toBeVisible();
  await expect(page.getByText("Opened by the codec server").first()).toBeVisible();
  const wanted = `POST https://codec.example/of/default/decode ${JSON.stringify(SEALED)}`;
  expect(new Set(asked)).toEqual(new Set([wanted]));
  expect(others.filter((each) => each.includes(SEALED.$sealed.data))).toEqual([]);
});
