import { expect, test } from "vitest";
import { countColumns, latencyColumns, type Point, stepOf, successColumns } from "./series";

const AT = Date.parse("2026-11-26T12:00:00Z");
const SPAN = { from: AT, to: AT + 180_000, stepS: 60 };

function point(minute: number, status: string, count: number, p50Ms?: number): Point {
  const at = new Date(AT + minute * 60_000).toISOString();
  return { at, values: { status }, count, ...(p50Ms !== undefined && { p50Ms }) };
}

test("steps without executions count zero", () => {
  const found = countColumns([point(0, "completed", 3), point(2, "failed", 1)], "status", SPAN);
  expect(found.times).toHaveLength(4);
  expect(found.lines).toEqual([
    { name: "completed", values: [3, 0, 0, 0] },
    { name: "failed", values: [0, 0, 1, 0] },
  ]);
});

test("steps without executions have no percentile", () => {
  const found = latencyColumns([point(1, "completed", 3, 1_500)], SPAN);
  expect(found.lines[0]).toEqual({ name: "p50", values: [null, 1.5, null, null] });
  expect(found.lines[2]?.values).toEqual([null, null, null, null]);
});

test("the success rate is of those that completed or failed", () => {
  const points = [point(0, "completed", 3), point(0, "failed", 1), point(1, "running", 9)];
  expect(successColumns(countColumns(points, "status", SPAN)).lines[0]?.values).toEqual([
    75,
    null,
    null,
    null,
  ]);
});

test("a chart has about fifty points", () => {
  for (const hours of [1, 6, 24, 168, 720]) {
    expect((hours * 3_600) / stepOf(hours)).toBeGreaterThanOrEqual(30);
    expect((hours * 3_600) / stepOf(hours)).toBeLessThanOrEqual(72);
  }
});
