/** The choices of definitions in words; the value that is written stands behind them. */

import type { Json } from "@/model/schema";

const WORDS: Record<string, Record<string, string>> = {
  onFailure: {
    FAIL: "Fail the workflow",
    CONTINUE: "Continue without its result",
    HOLD: "Wait until a person decides",
    COMPENSATE: "Undo what was done",
  },
  onReject: { FAIL: "Fail the workflow", CONTINUE: "Continue" },
  onDeadline: { FAIL: "Fail", APPROVE: "Approve by itself", REJECT: "Reject by itself" },
  onCancel: { CANCEL: "Cancel it too", TERMINATE: "End it at once", ABANDON: "Let it run" },
  join: {
    STRICT: "When all its edges are taken",
    ALL: "When each of its edges is decided, and one is taken",
    ANY: "When the first of its edges is taken",
  },
  mode: { ALL: "All", ANY: "Any" },
  needs: { ALL: "All of them", ANY: "One of them" },
  match: { FIRST: "The first branch that holds", ALL: "Each branch that holds" },
  results: { LIST: "A list of results", COUNT: "Only their number" },
};

/** A choice of a member as it is shown; of a member without words, the value itself. */
export function choiceWord(member: string, choice: Json): string {
  if (typeof choice !== "string") return JSON.stringify(choice);
  const word = WORDS[member]?.[choice];
  return word ? `${word} (${choice})` : choice;
}
