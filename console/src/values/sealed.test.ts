import { expect, test } from "vitest";
import { addKeys, opened, sealedOf } from "./sealed";

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
  expect(await opened(parts)).toEqual({ value: { card: "4242 4242" } });
  await expect(opened({ ...parts, data: `A${parts.data.slice(1)}` })).rejects.toThrow();
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
