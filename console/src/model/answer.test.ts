import { expect, test } from "vitest";
import { ANSWER_MAX, answerOf } from "./answer";

test("the body of an answer is one line, and cut where it is long", () => {
  const body = '{\n  "error": "card_declined",\n  "code": 51\n}\n';
  expect(answerOf({ details: { http: { status: 402, body } } })).toBe(
    '{ "error": "card_declined", "code": 51 }',
  );
  const long = answerOf({ details: { http: { body: "x".repeat(2 * ANSWER_MAX) } } });
  expect(long).toHaveLength(ANSWER_MAX + 1);
});

test("a failure without an answer has none", () => {
  for (const details of [undefined, null, {}, { http: {} }, { http: { body: " " } }]) {
    expect(answerOf({ details })).toBeUndefined();
  }
  expect(answerOf(undefined)).toBeUndefined();
});
