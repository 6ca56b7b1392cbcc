import { expect, test } from "vitest";
import { completions, filterOf, placeAtEnd, quoted, splitAnd, toggled, workflowOf } from "./filter";

test("words without an operator are looked for in every value", () => {
  expect(filterOf("  order-7 ")).toBe("any ^= order-7");
  expect(filterOf('an "order"')).toBe('any ^= "an \\"order\\""');
  expect(filterOf("WINNER")).toBe("any ^= WINNER");
  expect(filterOf(" ")).toBe("");
  for (const filter of ["status = failed", "status IN (failed)", "started > now", "error ~ x"]) {
    expect(filterOf(` ${filter} `)).toBe(filter);
  }
});

test("the place at the end of a filter names what is expected", () => {
  expect(placeAtEnd("").expected).toBe("field");
  expect(placeAtEnd("sta")).toMatchObject({ expected: "field", typed: "sta", from: 0 });
  expect(placeAtEnd("status ")).toMatchObject({ expected: "operator", field: "status" });
  expect(placeAtEnd("status = ")).toMatchObject({ expected: "value", field: "status" });
  expect(placeAtEnd("status = failed ").expected).toBe("joint");
  expect(placeAtEnd("status = failed AND wor")).toMatchObject({ expected: "field", typed: "wor" });
  expect(placeAtEnd("status IN (running, ")).toMatchObject({ expected: "value", field: "status" });
  expect(placeAtEnd("status IN (running) ").expected).toBe("joint");
  expect(placeAtEnd('workflow = "a b" ').expected).toBe("joint");
});

test("completions offer fields, operators, values and joints", () => {
  expect(completions("st").map((each) => each.text)).toEqual(["status ", "started "]);
  expect(completions("status ").map((each) => each.text)).toEqual(["= ", "!= ", "IN "]);
  expect(completions("status = fa").map((each) => each.text)).toEqual(["failed "]);
  expect(completions("status = failed A").map((each) => each.text)).toEqual(["AND "]);
  const names = { workflow: ["orders", "held orders"] };
  const found = completions("workflow = ", names).map((each) => each.text);
  expect(found).toEqual(["orders ", '"held orders" ']);
});

test("terms are toggled as a whole", () => {
  expect(toggled("", "status = failed")).toBe("status = failed");
  const both = toggled("status = failed", 'workflow = "a AND b"');
  expect(splitAnd(both)).toEqual(["status = failed", 'workflow = "a AND b"']);
  expect(toggled(both, "status = failed")).toBe('workflow = "a AND b"');
  expect(splitAnd("(a = 1 AND b = 2) AND c = 3")).toEqual(["(a = 1 AND b = 2)", "c = 3"]);
});

test("values are quoted where the grammar needs it", () => {
  expect(quoted("orders")).toBe("orders");
  expect(quoted('a "b"')).toBe('"a \\"b\\""');
  expect(quoted("exec-1m8c")).toBe("exec-1m8c");
});

test("the one workflow of a filter is found", () => {
  expect(workflowOf('status = failed AND workflow = "a-1.b"')).toBe("a-1.b");
  expect(workflowOf("workflow = orders AND (status = failed OR version = 2)")).toBe("orders");
  expect(workflowOf("workflow != orders")).toBe("");
  expect(workflowOf("workflow = orders OR workflow = refunds")).toBe("");
});
