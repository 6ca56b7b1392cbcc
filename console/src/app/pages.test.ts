import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { PAGES } from "../../tests/pages";

const FILES = ["routes.tsx", "operateRoutes.ts", "builderRoutes.ts"];

/** The paths of all routes, such as `/executions/$executionId`. */
function routes(): string[] {
  return FILES.flatMap((name) =>
    [...readFileSync(`src/app/${name}`, "utf8").matchAll(/\bpath: "([^"]+)"/g)].map(
      ([, path = ""]) => path,
    ),
  );
}

function fits(route: string, path: string): boolean {
  const [steps, parts] = [route.split("/"), path.split("/")];
  return (
    steps.length === parts.length &&
    steps.every((step, place) => step.startsWith("$") || step === parts[place])
  );
}

/** The route that shows a path; a route without parameters comes first. */
function routeOf(path: string): string | undefined {
  const found = routes().filter((route) => fits(route, path));
  return found.sort((left, right) => left.split("$").length - right.split("$").length)[0];
}

const shown = PAGES.map(({ path }) => path((name) => `exec-${name}`).replace(/\?.*/, ""));

test("every route has a page that is looked at", () => {
  expect(routes().length).toBeGreaterThan(40);
  expect(routes().filter((route) => !shown.some((path) => routeOf(path) === route))).toEqual([]);
});

test("every page that is looked at has a route, and a name of its own", () => {
  expect(shown.filter((path) => !routeOf(path))).toEqual([]);
  expect(new Set(PAGES.map(({ name }) => name)).size).toBe(PAGES.length);
});
