/** Statuses of executions and nodes: the family that gives colour and form, and the word shown. */

export type Family = "running" | "success" | "failed" | "attention" | "undoing" | "neutral";

export type Glyph =
  | "ring"
  | "tick"
  | "cross"
  | "hand"
  | "clock"
  | "back"
  | "dots"
  | "box"
  | "bars"
  | "dash"
  | "strike";

export interface Look {
  family: Family;
  glyph: Glyph;
  word: string;
}

export const EXECUTION_STATUSES = [
  "running",
  "paused",
  "pending",
  "completed",
  "failed",
  "canceled",
] as const;
export type ExecutionStatus = (typeof EXECUTION_STATUSES)[number];

/** The status of a node at a moment, finer than the server's word where the history says more. */
export type NodeStatus =
  | "defined"
  | "pending"
  | "queued"
  | "running"
  | "waiting"
  | "retrying"
  | "asking"
  | "onHold"
  | "stopped"
  | "success"
  | "failed"
  | "skipped"
  | "canceled";

const LOOKS: Record<string, Look> = {
  running: { family: "running", glyph: "ring", word: "Running" },
  queued: { family: "running", glyph: "dots", word: "Queued" },
  success: { family: "success", glyph: "tick", word: "Completed" },
  completed: { family: "success", glyph: "tick", word: "Completed" },
  failed: { family: "failed", glyph: "cross", word: "Failed" },
  retrying: { family: "attention", glyph: "clock", word: "Retrying" },
  asking: { family: "attention", glyph: "hand", word: "Needs approval" },
  onHold: { family: "attention", glyph: "hand", word: "On hold" },
  stopped: { family: "attention", glyph: "hand", word: "At breakpoint" },
  late: { family: "attention", glyph: "clock", word: "Late" },
  compensating: { family: "undoing", glyph: "back", word: "Compensating" },
  compensated: { family: "undoing", glyph: "back", word: "Compensated" },
  pending: { family: "neutral", glyph: "dots", word: "Pending" },
  defined: { family: "neutral", glyph: "box", word: "Task" },
  waiting: { family: "neutral", glyph: "clock", word: "Waiting" },
  paused: { family: "neutral", glyph: "bars", word: "Paused" },
  skipped: { family: "neutral", glyph: "dash", word: "Skipped" },
  canceled: { family: "neutral", glyph: "strike", word: "Canceled" },
  healthy: { family: "success", glyph: "tick", word: "Healthy" },
  degraded: { family: "attention", glyph: "clock", word: "Degraded" },
  unhealthy: { family: "failed", glyph: "cross", word: "Unhealthy" },
  open: { family: "success", glyph: "tick", word: "Open" },
  draining: { family: "attention", glyph: "clock", word: "Draining" },
  closed: { family: "neutral", glyph: "strike", word: "Closed" },
  offline: { family: "neutral", glyph: "strike", word: "Offline" },
};

const UNKNOWN: Look = { family: "neutral", glyph: "dots", word: "Unknown" };

export function lookOf(status: string): Look {
  return LOOKS[status] ?? { ...UNKNOWN, word: status || UNKNOWN.word };
}

const NEEDED: Record<string, NodeStatus> = {
  hold: "onHold",
  approval: "asking",
  breakpoint: "stopped",
};

/** The status of an execution in a list: what it needs of a person, if it runs and needs that. */
export function listedStatus(row: { status: string; search?: Record<string, unknown> }): string {
  const needed = row.status === "running" ? NEEDED[String(row.search?.needs)] : undefined;
  return needed ?? row.status;
}

/** Whether an execution can still change. */
export function isOpen(status: string): boolean {
  return status === "running" || status === "paused" || status === "pending";
}
