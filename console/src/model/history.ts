/**
 * The history of an execution as changes of its nodes, so that the state at any event is a search.
 *
 * Events arrive in order of their sequence; a repeated one changes nothing, a missing one is a gap.
 */

import type { FeedEvent } from "@/api/feed";
import type { NodeStatus } from "./status";

export interface Change {
  sequence: number;
  at: number;
  status: NodeStatus;
  attempt: number;
}

export interface NodeTrack {
  id: string;
  changes: Change[];
  /** The last failure of an attempt, with its event. */
  error?: { sequence: number; class: string; message: string };
  worker?: string;
}

export interface ExecutionChange {
  sequence: number;
  status: string;
}

const NODE_STATUS: Record<string, NodeStatus> = {
  TaskScheduled: "queued",
  TaskStarted: "running",
  TaskCompleted: "success",
  TaskFailed: "failed",
  TaskRetrying: "retrying",
  TaskSkipped: "skipped",
  TaskCanceled: "canceled",
  TaskHeld: "onHold",
  TaskSuspended: "waiting",
  MapStarted: "running",
  StatesStarted: "running",
  TimerStarted: "waiting",
  ChildRequested: "waiting",
  ChildStarted: "running",
  ResultReused: "success",
  BreakpointReached: "stopped",
  ApprovalRequested: "asking",
};

const EXECUTION_STATUS: Record<string, string> = {
  WorkflowStarted: "running",
  WorkflowHeld: "pending",
  WorkflowBegun: "running",
  WorkflowPaused: "paused",
  WorkflowResumed: "running",
  CompensationStarted: "compensating",
  WorkflowCompleted: "completed",
  WorkflowFailed: "failed",
  WorkflowCanceled: "canceled",
  WorkflowTerminated: "canceled",
  WorkflowContinued: "completed",
};

const ENDED = new Set<NodeStatus>(["success", "failed", "skipped", "canceled"]);
const PROBLEMS = new Set(["TaskFailed", "TaskRetrying", "TaskHeld", "WorkflowFailed"]);

export class History {
  readonly events: FeedEvent[] = [];
  /** Times of the events in milliseconds. */
  readonly times: number[] = [];
  readonly nodes = new Map<string, NodeTrack>();
  readonly execution: ExecutionChange[] = [];

  get lastSequence(): number {
    return this.events.at(-1)?.sequence ?? 0;
  }

  /** Add an event; returns false for a gap, after which the events have to be read again. */
  append(event: FeedEvent): boolean {
    if (event.type === "SignalFlow" || event.sequence <= this.lastSequence) return true;
    if (event.sequence !== this.lastSequence + 1) return false;
    this.events.push(event);
    this.times.push(Date.parse(event.timestamp));
    const status = EXECUTION_STATUS[event.type];
    if (status) this.execution.push({ sequence: event.sequence, status });
    if (event.taskId) this.#track(event.taskId, event);
    return true;
  }

  /** The event after which the moment stands; `undefined` stands for now. */
  eventAt(at: number | undefined): FeedEvent | undefined {
    const sequence = Math.min(at ?? this.lastSequence, this.lastSequence);
    return this.events[sequence - (this.events[0]?.sequence ?? 1)];
  }

  statusOf(node: string, at: number | undefined): NodeStatus {
    return this.changeOf(node, at)?.status ?? "pending";
  }

  changeOf(node: string, at: number | undefined): Change | undefined {
    const track = this.nodes.get(node);
    return track && lastUpTo(track.changes, at);
  }

  executionStatus(at: number | undefined): string {
    return lastUpTo(this.execution, at)?.status ?? "pending";
  }

  /** The number of nodes in each status at the moment, in order of the statuses; pending ones apart. */
  counts(at: number | undefined): Map<NodeStatus, number> {
    const found = new Map<NodeStatus, number>();
    for (const { changes } of this.nodes.values()) {
      const status = lastUpTo(changes, at)?.status ?? "pending";
      if (status !== "pending") found.set(status, (found.get(status) ?? 0) + 1);
    }
    return new Map([...found].sort(([left], [right]) => left.localeCompare(right)));
  }

  /** The number of items of a map with nodes that have all ended at the moment. */
  itemsEnded(map: string, at: number): number {
    const open = new Map<string, boolean>();
    for (const [id, { changes }] of this.nodes) {
      if (!id.startsWith(`${map}[`)) continue;
      const status = lastUpTo(changes, at)?.status;
      if (!status || status === "pending") continue;
      const item = id.slice(0, id.indexOf("]", map.length));
      open.set(item, (open.get(item) ?? false) || !ENDED.has(status));
    }
    let ended = 0;
    for (const still of open.values()) ended += Number(!still);
    return ended;
  }

  /** Sequences of failures and retries, for steps from one problem to the next. */
  problems(): number[] {
    return this.events.filter((event) => PROBLEMS.has(event.type)).map((event) => event.sequence);
  }

  #track(id: string, event: FeedEvent): void {
    const track = this.nodes.get(id) ?? { id, changes: [] };
    this.nodes.set(id, track);
    this.#reopen(event);
    const error = event.data.error as { class: string; message: string } | undefined;
    if (error)
      track.error = { sequence: event.sequence, class: error.class, message: error.message };
    if (typeof event.data.workerId === "string") track.worker = event.data.workerId;
    const status = NODE_STATUS[event.type];
    if (!status) return;
    const attempt = event.attempt ?? track.changes.at(-1)?.attempt ?? 1;
    const at = Date.parse(event.timestamp);
    track.changes.push({ sequence: event.sequence, at, status, attempt });
  }

  /** A retry by hand reopens nodes behind the retried one. */
  #reopen(event: FeedEvent): void {
    if (event.type !== "NodeSteered" || !Array.isArray(event.data.reopened)) return;
    for (const id of event.data.reopened as string[]) {
      const changes = this.nodes.get(id)?.changes;
      const at = Date.parse(event.timestamp);
      changes?.push({ sequence: event.sequence, at, status: "pending", attempt: 0 });
    }
  }
}

/** The last entry at or before a sequence. */
function lastUpTo<T extends { sequence: number }>(
  entries: T[],
  at: number | undefined,
): T | undefined {
  if (at === undefined) return entries.at(-1);
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((entries[middle] as T).sequence <= at) low = middle + 1;
    else high = middle;
  }
  return entries[low - 1];
}

/** The word of the server for a status of the fold. */
export function serverWord(status: NodeStatus): string {
  switch (status) {
    case "queued":
    case "waiting":
    case "retrying":
    case "asking":
    case "onHold":
      return "running";
    case "stopped":
      return "pending";
    default:
      return status;
  }
}
