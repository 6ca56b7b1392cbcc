import { expect, test } from "vitest";
import { costOf, itemOf } from "./trace";

test("the items of nested maps have names of their own", () => {
  expect(itemOf("each[3]/inner[0]/weigh")).toBe("[3][0]");
  expect(itemOf("sum")).toBe("");
});

test("a cost says what it is", () => {
  expect(costOf("people")).toBe("waited for a person");
  expect(costOf("run")).toBe("ran");
});
