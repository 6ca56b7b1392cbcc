/** The actions on an execution and on a node: when they apply, what they do, what they ask for. */

import type { ExecutionAnswer, TaskState, Writes } from "@/api/schema";
import { isOpen, type NodeStatus } from "@/model/status";

export interface ActionInput {
  name: "input" | "output" | "payload" | "signal" | "comment";
  label: string;
  kind: "json" | "text";
  required: boolean;
  initial?: string;
}

export interface Action {
  id: string;
  label: string;
  consequence: string;
  danger: boolean;
  inputs: readonly ActionInput[];
  /** Whether the call records a reason. */
  reason: boolean;
  operation: keyof Writes;
  /** Members of the body that are not asked for. */
  body?: Record<string, unknown>;
  /** The reason for which it cannot be done now. */
  refused: string | undefined;
}

interface Given {
  execution: ExecutionAnswer;
  status: string;
}

/** The reason for which nothing of an ended execution changes. */
export const HAS_ENDED = "It has ended.";

const PATH = "POST /api/v1/executions/{executionId}";

export function executionActions({ execution, status }: Given): Action[] {
  const open = isOpen(execution.status) && isOpen(status === "compensating" ? "running" : status);
  const ended = open ? undefined : HAS_ENDED;
  const failed = execution.status === "failed";
  const base = { danger: false, inputs: [], reason: true, refused: ended };
  return [
    {
      ...base,
      id: "pause",
      label: "Pause",
      consequence: "No new task starts until the execution is resumed. Running tasks go on.",
      operation: `${PATH}:pause`,
      refused: ended ?? (status === "paused" ? "It is paused already." : undefined),
    },
    {
      ...base,
      id: "resume",
      label: "Resume",
      consequence: "All waiting tasks continue.",
      operation: `${PATH}:resume`,
      refused: ended ?? (status === "paused" ? undefined : "It is not paused."),
    },
    {
      ...base,
      id: "signal",
      label: "Send a signal",
      consequence: "The signal is delivered to one task that waits for it, or kept for the first.",
      reason: false,
      inputs: [
        { name: "signal", label: "Name of the signal", kind: "text", required: true },
        { name: "payload", label: "Payload (JSON)", kind: "json", required: false, initial: "{}" },
      ],
      operation: `${PATH}:signal`,
    },
    {
      ...base,
      id: "rerun",
      label: failed ? "Rerun from failed tasks" : "Rerun",
      consequence: failed
        ? "A new execution starts with the same input. Results of completed tasks are reused; failed tasks and what depends on them run again."
        : "A new execution starts with the same input and runs all tasks again.",
      operation: `${PATH}:rerun`,
      body: { fromFailed: failed },
      refused: open ? "It has not ended." : undefined,
    },
    {
      ...base,
      id: "cancel",
      label: "Cancel",
      danger: true,
      consequence:
        "Running tasks are canceled, completed ones are compensated where the workflow says so, and the execution ends as canceled.",
      operation: `${PATH}:cancel`,
    },
    {
      ...base,
      id: "terminate",
      label: "Terminate",
      danger: true,
      consequence:
        "The execution ends at once, without compensation. Running tasks lose their results.",
      operation: `${PATH}:terminate`,
    },
  ];
}

/** How a member that the caller may not see is shown. */
const HIDDEN = '"***"';

/** The input to run with, which begins as it was; one with hidden members has to be written anew. */
function otherInput(input: unknown): ActionInput {
  const known = input === undefined ? "" : JSON.stringify(input, undefined, 2);
  return {
    name: "input",
    label: "Input (JSON), empty for the same",
    kind: "json",
    required: false,
    initial: known.includes(HIDDEN) ? "" : known,
  };
}

const NODE = `${PATH}/nodes/{node}` as const;
const ENDED = new Set<NodeStatus>(["success", "skipped", "canceled"]);

export function nodeActions(
  given: Given,
  status: NodeStatus,
  task: TaskState | undefined,
  input: unknown,
): Action[] {
  const open = isOpen(given.execution.status);
  const ended = open ? undefined : "The execution has ended.";
  const held = status === "onHold" || task?.held;
  const done = ENDED.has(status) ? "The task has ended." : undefined;
  const base = { danger: false, inputs: [], reason: true };
  const output: ActionInput = {
    name: "output",
    label: "Output (JSON)",
    kind: "json",
    required: true,
  };
  const actions: Action[] = [
    {
      ...base,
      id: "retry",
      label: "Retry",
      consequence: "The task runs once more with its input, or with the one given here.",
      inputs: [otherInput(input)],
      operation: `${NODE}:retry`,
      refused: ended ?? (held || status === "failed" ? undefined : "The task has not failed."),
    },
    {
      ...base,
      id: "skip",
      label: "Skip",
      consequence: "The task is not run; what depends on it continues without its output.",
      operation: `${NODE}:skip`,
      refused: ended ?? done,
    },
    {
      ...base,
      id: "complete",
      label: "Complete by hand",
      consequence: "The task counts as completed with the output given here.",
      inputs: [{ ...output, initial: "{}" }],
      operation: `${NODE}:complete`,
      refused: ended ?? done,
    },
    {
      ...base,
      id: "override",
      label: "Override the output",
      consequence: "The output is replaced before the tasks that depend on it use it.",
      inputs: [{ ...output, initial: JSON.stringify(task?.output ?? {}, undefined, 2) }],
      operation: `${NODE}:override`,
      refused: ended ?? (status === "success" ? undefined : "The task has no output yet."),
    },
    {
      ...base,
      id: "fail",
      label: "Fail",
      danger: true,
      consequence: "The held task counts as failed, with all consequences of the workflow.",
      operation: `${NODE}:fail`,
      refused: ended ?? (held ? undefined : "The task is not on hold."),
    },
  ];
  if (status === "stopped") actions.unshift(continueAction(ended, input));
  if (task?.approval) actions.unshift(decision(true, ended), decision(false, ended));
  return actions;
}

function continueAction(refused: string | undefined, input: unknown): Action {
  return {
    id: "continue",
    label: "Continue",
    consequence: "The task that stopped at its breakpoint starts.",
    danger: false,
    inputs: [otherInput(input)],
    reason: true,
    operation: `${NODE}:continue`,
    refused,
  };
}

function decision(approved: boolean, refused: string | undefined): Action {
  return {
    id: approved ? "approve" : "reject",
    label: approved ? "Approve" : "Reject",
    consequence: approved
      ? "Your approval is recorded; with enough of them the task completes."
      : "The task is rejected and ends as its workflow says.",
    danger: !approved,
    inputs: [{ name: "comment", label: "Comment", kind: "text", required: false }],
    reason: false,
    operation: `${NODE}:decide`,
    body: { approved },
    refused,
  };
}
