import { afterEach, expect, test, vi } from "vitest";
import { addKeys, askServer, opened, ServerRefused, sealedOf } from "./sealed";

const SERVER = "https://codec.example/of/shop/";
afterEach(() => vi.unstubAllGlobals());

// The vector of the SDKs: the key is the bytes 0 to 31.
const KEY = "k1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const VECTOR = {
  $sealed: {
    kid: "k1",
    data: "VHoXGR6e5DwDQZCkkIlTOS6takmzgIQRtF39nrTGlIA/SdTpGyLdVpsGzjSlnY2U",
  },
};

test("a value that an SDK sealed is opened once its key is there", async () => {
  const parts = sealedOf(VECTOR);
  if (parts === undefined) throw new Error("not sealed");
  expect(await opened(parts)).toBeUndefined();
  await addKeys(`\n${KEY}\n`);
  expect(await opened(parts)).toEqual({ value: { card: "4242 4242" }, by: "key" });
  await expect(opened({ ...parts, data: `A${parts.data.slice(1)}` })).rejects.toThrow();
});

test("a codec server opens a value once it is asked", async () => {
  const parts = { kid: "another", data: "AAAA" };
  const called = vi.fn(async () => Response.json({ card: 1 }));
  vi.stubGlobal("fetch", called);
  expect(await opened(parts, SERVER)).toBeUndefined();
  expect(called).not.toHaveBeenCalled();
  askServer();
  expect(await opened(parts)).toBeUndefined();
  expect(await opened(parts, SERVER)).toEqual({ value: { card: 1 }, by: "server" });
  const sent = { method: "POST", redirect: "error", body: JSON.stringify({ $sealed: parts }) };
  const address = "https://codec.example/of/shop/decode";
  expect(called).toHaveBeenCalledExactlyOnceWith(address, expect.objectContaining(sent));
  for (const answer of [new Response("", { status: 403 }), new Response("no JSON")]) {
    vi.stubGlobal("fetch", async () => answer);
    await expect(opened(parts, SERVER)).rejects.toThrow(ServerRefused);
  }
});

test("what is no line of a key file is refused", async () => {
  for (const text of ["", "k1", "k1 AAAA", `${KEY} more`, "k1 no-base64!"]) {
    await expect(addKeys(text)).rejects.toThrow("base64");
  }
});

test("other objects are not sealed", () => {
  for (const value of [
    {},
    { $sealed: null },
    { ...VECTOR, a: 1 },
    { $sealed: { kid: "k1" } },
    [],
  ]) {
    expect(sealedOf(value)).toBeUndefined();
  }
});
