import { expect, test } from "vitest";
import { nameOf, rowsOf, shown } from "./savedValues";

const SPAN = { from: 0, to: 600_000 };

function found(values: readonly number[]) {
  const points = values.map((value, at) => ({ at: new Date(at * 60_000).toISOString(), value }));
  return { stepS: 60, series: [{ group: "OK", points }] };
}

test("increases are summed, or divided by the seconds of the time", () => {
  const series = { metric: "flowmesh_rpc_total", where: [], by: "code" };
  expect(rowsOf(series, found([10, 50]), "count", SPAN)).toEqual([{ name: "OK", value: 60 }]);
  expect(rowsOf(series, found([10, 50]), "per-second", SPAN)).toEqual([{ name: "OK", value: 0.1 }]);
});

test("a gauge has its newest value, or 0 if that is old", () => {
  const series = { metric: "flowmesh_tasks_ready", where: [], label: "ready" };
  expect(rowsOf(series, found([1, 2, 3, 4, 5, 6, 7, 8]), "count", SPAN)).toEqual([
    { name: "ready OK", value: 8 },
  ]);
  expect(rowsOf(series, found([9]), "count", SPAN)).toEqual([{ name: "ready OK", value: 0 }]);
});

test("values are shown in their unit", () => {
  expect(nameOf({ metric: "queue_sizes", where: [] }, "")).toBe("queue_sizes");
  expect(shown(0.5, "seconds")).toBe("500 ms");
  expect(shown(0.126, "per-second")).toBe("0.13/s");
  expect(shown(0.25, "share")).toContain("25");
});
