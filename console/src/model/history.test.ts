import fc from "fast-check";
import { expect, test } from "vitest";
import type { FeedEvent } from "@/api/feed";
import { History } from "./history";

function event(sequence: number, type: string, taskId?: string): FeedEvent {
  const timestamp = new Date(1_700_000_000_000 + sequence * 10).toISOString();
  const base = { type, sequence, executionId: "e", workflow: "w", timestamp, data: {} };
  return taskId ? { ...base, taskId, attempt: 1 } : base;
}

const RUN = [
  event(1, "WorkflowStarted"),
  event(2, "TaskScheduled", "a"),
  event(3, "TaskStarted", "a"),
  event(4, "TaskRetrying", "a"),
  event(5, "TaskScheduled", "a"),
  event(6, "TaskCompleted", "a"),
  event(7, "WorkflowPaused"),
  event(8, "WorkflowResumed"),
  event(9, "WorkflowCompleted"),
];

test("each moment has its statuses", () => {
  const history = new History();
  for (const each of RUN) expect(history.append(each)).toBe(true);
  const seen = RUN.map((each) => history.statusOf("a", each.sequence));
  expect(seen.slice(0, 6)).toEqual([
    "pending",
    "queued",
    "running",
    "retrying",
    "queued",
    "success",
  ]);
  expect(history.executionStatus(7)).toBe("paused");
  expect(history.executionStatus(undefined)).toBe("completed");
  expect(history.problems()).toEqual([4]);
});

test("repeats change nothing, and a gap is reported", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(RUN.length - 1), { maxLength: 40 }), (places) => {
      const history = new History();
      for (const place of places) {
        const each = RUN[place] as FeedEvent;
        const last = history.lastSequence;
        const accepted = history.append(each);
        expect(accepted).toBe(each.sequence <= last + 1);
      }
      expect(history.events.map((each) => each.sequence)).toEqual(
        RUN.slice(0, history.lastSequence).map((each) => each.sequence),
      );
    }),
  );
});
