/** What a called service answered to a task that failed. */

export const ANSWER_MAX = 300;

/** The beginning of the body on one line; undefined if no service answered with one. */
export function answerOf(failure: { details?: unknown } | undefined): string | undefined {
  const { http } = (failure?.details ?? {}) as { http?: { body?: unknown } };
  const body = typeof http?.body === "string" ? http.body.trim().replace(/\s+/g, " ") : "";
  if (!body) return undefined;
  return body.length > ANSWER_MAX ? `${body.slice(0, ANSWER_MAX)}…` : body;
}
