import { expect, test } from "vitest";
import { cronWords } from "./cronWords";

test.each([
  ["0 2 * * *", "every day at 02:00"],
  ["30 9 * * 1-5", "Monday to Friday at 09:30"],
  ["0 8 1 * *", "on day 1 of the month at 08:00"],
  ["15 7 * * 7", "every Sunday at 07:15"],
  ["*/5 * * * *", "every 5 minutes"],
  ["0 * * * *", "every hour"],
  ["10 */6 * * *", "every 6 hours at minute 10"],
  ["* * * * 1", "every minute, every Monday"],
])("%s reads as %s", (expression, words) => {
  expect(cronWords(expression)).toBe(words);
});

test.each(["0 2 1 1 *", "0 2 1 * 1", "0,30 2 * * *", "@daily", "0 0 2 * * *", ""])(
  "%s has no words",
  (expression) => {
    expect(cronWords(expression)).toBeUndefined();
  },
);
