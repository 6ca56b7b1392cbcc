/** The cause of the state of an execution in one sentence, with the next action. */

import type { Finding } from "@/api/schema";
import { answerOf } from "@/model/answer";
import { type Family, lookOf } from "@/model/status";
import type { ExecutionData } from "./data";

export interface Cause {
  family: Family;
  task: string | undefined;
  sentence: string;
  /** What a called service answered to the failed task. */
  answer: string | undefined;
  remedy: string;
  until: string | undefined;
  /** Further causes besides this one. */
  others: number;
  /** The action that ends the wait, if the page has it. */
  next: Next | undefined;
}

export interface Next {
  label: string;
  /** An action of the execution, or a node whose actions are shown. */
  action: string | undefined;
  signal?: string | undefined;
}

const NEXT: Record<string, Next> = {
  PAUSED: { label: "Resume", action: "resume" },
  SIGNAL: { label: "Send the signal", action: "signal" },
  ON_HOLD: { label: "Decide what happens", action: undefined },
  UNDO_FAILED: { label: "Decide what happens", action: undefined },
  APPROVAL: { label: "Approve or reject", action: undefined },
  BREAKPOINT: { label: "Continue", action: undefined },
};

/** Causes that need a person come first, then those that may never end, then all others. */
const URGENT = [
  "ON_HOLD",
  "UNDO_FAILED",
  "APPROVAL",
  "BREAKPOINT",
  "NO_WORKER",
  "PARTITION_UNOWNED",
  "PERMISSION_DENIED",
  "PAUSED",
  "GOES_ROUND",
  "RETRY_BACKOFF",
  "LIMIT",
  "SIGNAL",
];
const ATTENTION = new Set(URGENT.slice(0, 10));

export function causeOf(data: ExecutionData): Cause | undefined {
  if (data.at !== undefined) return undefined;
  const { execution, explanation } = data;
  if (execution?.error && data.status === "failed") {
    return {
      family: "failed",
      task: execution.error.taskId,
      sentence: `failed with ${execution.error.class}: ${execution.error.message}`,
      answer: answerOf(execution.error),
      remedy: "",
      until: undefined,
      others: 0,
      next: { label: "Rerun from failed tasks", action: "rerun" },
    };
  }
  const findings = (explanation?.findings ?? []).filter((each) => each.cause !== "ENDED");
  if (!explanation || explanation.status !== execution?.status || findings.length === 0) {
    return undefined;
  }
  const rank = (cause: string) => (URGENT.indexOf(cause) + 1 || URGENT.length + 1) - 1;
  const [first] = [...findings].sort((left, right) => rank(left.cause) - rank(right.cause));
  if (!first) return undefined;
  return {
    family: ATTENTION.has(first.cause) ? "attention" : lookOf(data.status).family,
    task: first.taskId,
    sentence: first.text,
    answer: answerOf(first.taskId ? execution.tasks[first.taskId]?.error : undefined),
    remedy: first.remedy,
    until: first.until,
    others: findings.length - 1,
    next: nextOf(first),
  };
}

function nextOf(finding: Finding): Next | undefined {
  const next = NEXT[finding.cause];
  const { signal } = finding.details;
  return next && { ...next, signal: typeof signal === "string" ? signal : undefined };
}
