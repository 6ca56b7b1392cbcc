import { expect, test } from "vitest";
import type { MapWorkflow } from "@/api/schema";
import { apart, BODIES_MAX, type Body, galaxyOf, planetId, sunId } from "./galaxy";

function workflow(name: string, tasks: number, service = ""): MapWorkflow {
  return {
    workflow: name,
    version: 1,
    tasks: Array.from({ length: tasks }, (_, place) => ({
      id: `t${place}`,
      type: "pay",
      ...(service && { service }),
    })),
    edges: Array.from({ length: Math.max(0, tasks - 1) }, (_, place) => [place, place + 1]),
    services: service ? [service] : [],
    tasksCapped: false,
    labels: {},
  };
}

test("each workflow is a sun with its tasks as planets, joined by its edges", () => {
  const found = galaxyOf([workflow("orders", 3)], new Map());
  const kinds = found.bodies.map((body) => body.kind);
  expect(kinds).toEqual(["sun", "planet", "planet", "planet"]);
  const first = found.index.get(planetId("orders", "t0")) as number;
  const second = found.index.get(planetId("orders", "t1")) as number;
  expect(found.after.get(first)).toEqual([second]);
});

test("a task type of workers that two workflows use is one star that reaches both", () => {
  const found = galaxyOf(
    [workflow("orders", 2, "workers of pay"), workflow("refunds", 1, "workers of pay")],
    new Map(),
  );
  const star = found.bodies.findIndex((body) => body.kind === "star");
  const reached = found.edges.filter(([from]) => from === star).map(([, to]) => to);
  expect(reached.map((each) => found.bodies[each]?.name)).toEqual(["orders", "refunds"]);
});

test("systems do not touch, and busy ones stand in the middle and are larger", () => {
  const many = Array.from({ length: 60 }, (_, place) => workflow(`w${place}`, 4));
  const busy = new Map([["w40", { started: 900, completed: 800, failed: 100 }]]);
  const found = galaxyOf(many, busy);
  const suns = found.bodies.filter((body) => body.kind === "sun");
  for (const one of suns) {
    for (const other of suns) {
      const gap = Math.hypot(one.x - other.x, one.z - other.z);
      if (one !== other) expect(gap).toBeGreaterThan(13);
    }
  }
  const first = suns[0];
  expect(first?.name).toBe("w40");
  expect(first?.size).toBeGreaterThan(suns[1]?.size ?? 9);
  expect(first?.success).toBeCloseTo(8 / 9);
});

test("services stand outside, and there are never too many bodies", () => {
  const found = galaxyOf(
    Array.from({ length: 50 }, (_, place) => workflow(`w${place}`, 500, "https://a")),
    new Map(),
  );
  expect(found.bodies.length).toBeLessThanOrEqual(BODIES_MAX + 60);
  expect(found.capped).toBe(true);
  const far = found.bodies
    .filter((body) => body.kind === "service")
    .map((b) => Math.hypot(b.x, b.z));
  const suns = found.bodies.filter((body) => body.kind === "sun").map((b) => Math.hypot(b.x, b.z));
  expect(Math.min(...far)).toBeGreaterThan(Math.max(...suns));
  expect(found.index.has(sunId("w7"))).toBe(true);
});

test("a name that would cover a larger body's is left out", () => {
  const label = (name: string, x: number, y: number) => ({
    body: { name } as Body,
    x,
    y,
    near: true,
  });
  const labels = [
    label("settlement", 100, 50),
    label("campaign", 120, 58),
    label("trips", 120, 70),
    label("region", 180, 52),
  ];
  expect(apart(labels).map((each) => each.body.name)).toEqual(["settlement", "trips", "region"]);
});
