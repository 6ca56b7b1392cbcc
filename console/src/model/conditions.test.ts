import { expect, test } from "vitest";
import { celOf, pathWords, wordsOf } from "./conditions";

test.each([
  [{ path: "input.amount", operator: ">", value: "100" }, "input.amount > 100"],
  [{ path: "input.paid", operator: "==", value: "true" }, "input.paid == true"],
  [
    { path: 'tasks["a b"].output', operator: "!=", value: 'x "y"' },
    'tasks["a b"].output != "x \\"y\\""',
  ],
  [{ path: "input.name", operator: "contains", value: "Ada" }, 'input.name.contains("Ada")'],
  [{ path: "input.card", operator: "has", value: "" }, "has(input.card)"],
] as const)("%o is written as %s, and read again", (words, cel) => {
  expect(celOf(words)).toBe(cel);
  expect(wordsOf(cel)).toEqual(words);
});

test("a text is compared with a text, and longer conditions have no words", () => {
  const words = { path: "input.zip", operator: "==", value: "10115" } as const;
  expect(celOf(words, "string")).toBe('input.zip == "10115"');
  for (const cel of ["", "true", "a > 1 && b < 2", "size(input.items) > 3", "a > b"]) {
    expect(wordsOf(cel), cel).toBeUndefined();
  }
});

test("paths have words", () => {
  expect(pathWords("input.customer.name")).toBe("customer.name of the input");
  expect(pathWords("tasks.charge.output.receipt")).toBe("receipt of charge");
  expect(pathWords('tasks["pay-out"].output')).toBe("the whole output of pay-out");
  expect(pathWords("state")).toBe("state");
});
