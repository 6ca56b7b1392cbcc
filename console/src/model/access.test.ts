import { expect, test } from "vitest";
import { certificatesOf, givable, listed, manages, ownsAll, type Place } from "./access";

const company: Place = { level: "company", id: "co_1", path: "shop", above: [] };
const project: Place = {
  level: "project",
  id: "prj_1",
  path: "shop / web / cart",
  above: ["co_1", "org_1"],
};

test("a role holds on its level and below", () => {
  const admin = [{ level: "company" as const, levelId: "co_1", role: "admin" }];
  expect(manages(admin, company)).toBe(true);
  expect(givable(admin, project)).toEqual(["viewer", "editor", "admin"]);
  const below = [{ level: "project" as const, levelId: "prj_1", role: "owner" }];
  expect(manages(below, company)).toBe(false);
  expect(givable(below, project)).toEqual(["viewer", "editor", "admin", "owner"]);
});

test("neither editors nor workers manage, and only owners of all own all", () => {
  for (const role of ["viewer", "editor", "worker"]) {
    const roles = [{ level: "installation" as const, role }];
    expect(manages(roles, company)).toBe(false);
    expect(givable(roles, company)).toEqual([]);
  }
  expect(ownsAll([{ level: "installation", role: "owner" }])).toBe(true);
  expect(ownsAll([{ level: "company", levelId: "co_1", role: "owner" }])).toBe(false);
});

test("lists and certificates in a text", () => {
  expect(listed(" a, b,,\nc ")).toEqual(["a", "b", "c"]);
  const pem = "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----";
  expect(certificatesOf(`${pem}\n${pem}\n`)).toEqual([pem, pem]);
  expect(certificatesOf("nonsense")).toEqual(["nonsense"]);
  expect(certificatesOf("")).toEqual([]);
});
