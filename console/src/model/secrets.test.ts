import { expect, test } from "vitest";
import { isNamed, referencesOf } from "./secrets";

test("secrets are found in texts, templates and declarations", () => {
  const found = referencesOf({
    spec: {
      secrets: ["declared"],
      http: {
        url: "https://shop.example?account={{secrets.shop-account}}",
        headers: { a: "secret://shop-signature#3", b: '{{secrets["shop-token#3"]}}' },
        body: [{ password: "{{ secrets.login.password }}" }],
      },
    },
  });
  for (const name of ["declared", "shop-account", "shop-signature", "shop-token", "login"]) {
    expect(isNamed(name, found), name).toBe(true);
  }
  for (const name of ["shop", "log", "password"]) expect(isNamed(name, found), name).toBe(false);
});
