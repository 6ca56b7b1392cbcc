import { expect, test } from "vitest";
import { anyLate, lateAfter, lateOf } from "./late";

const point = (workflow: string, count: number, p95Ms: number) => ({
  values: { workflow },
  count,
  p95Ms,
});

test("an execution is late beyond one and a half times the 95th percentile", () => {
  const after = lateAfter([point("orders", 3, 40_000), point("orders", 2, 60_001)]);
  expect([...after]).toEqual([["orders", 91]]);
  expect(lateOf("orders", 91)).toBe(
    'workflow = orders AND status = running AND needs = null AND started < "-91s"',
  );
});

test("few executions have no usual duration, and short ones are late after ten seconds", () => {
  expect([...lateAfter([point("rare", 4, 9_000), point("quick", 50, 20)])]).toEqual([
    ["quick", 10],
  ]);
});

test("the filter for all has the workflows that run, as many as the server takes", () => {
  const names = Array.from({ length: 40 }, (_, at) => `flow ${at}`);
  const after = new Map(names.map((name) => [name, 30]));
  const filter = anyLate(["unknown", ...names], after) ?? "";
  expect(filter.match(/workflow = "flow \d+" AND started < "-30s"/g)).toHaveLength(24);
  expect(anyLate(["n".repeat(5_000)], new Map([["n".repeat(5_000), 30]]))).toBeUndefined();
  expect(anyLate(["unknown"], after)).toBeUndefined();
});
