/**
 * Errors of calls, of executions and of handlers. Nothing here needs Node.
 *
 * ```
 * Error
 * ├── FlowmeshError         a call was refused or got no answer; `reason` is stable, `kind` its class
 * │   └── ExecutionFailed   the execution ended and did not complete; `failure` has the cause
 * ├── TaskFailure           thrown by a handler to choose the class of its failure
 * │   └── NonRetryable      a failure that default policies do not retry
 * └── TaskCancelled         the reason of `context.signal` of a task that is no longer wanted
 * ```
 *
 * @packageDocumentation
 */
import type { Failure, Status } from "./values.js";

/** The class of an error, by which callers decide. */
export type ErrorKind =
  | "Invalid"
  | "Unauthenticated"
  | "Forbidden"
  | "NotFound"
  | "Conflict"
  | "WrongState"
  | "Gone"
  | "TooLarge"
  | "Overloaded"
  | "Unavailable"
  | "Unimplemented"
  | "Timeout"
  | "Closed"
  | "ExecutionFailed"
  | "Internal";

/** One problem of a request that the caller can fix; line and column count from 1, 0 is unknown. */
export interface Violation {
  /** Path into the request, such as `tasks[1].input.email`. */
  readonly field: string;
  readonly description: string;
  /** Reason of this problem, where several are reported at once. */
  readonly code: string;
  readonly line: number;
  readonly column: number;
}

/** Optional parts of a {@link FlowmeshError}. */
export interface ErrorDetails {
  readonly violations?: readonly Violation[];
  /** Delay before a retry, as the server asks for it; 0 is none. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
  /** Address of the cell that serves the call. @internal */
  readonly cell?: string | undefined;
}

/** An error of a call: `reason` is a row of docs/errors.md and never changes. */
export class FlowmeshError extends Error {
  override readonly name: string = "FlowmeshError";
  readonly violations: readonly Violation[];
  readonly retryAfterMs: number;
  /** @internal */
  readonly cell: string;

  /** @internal */
  constructor(
    readonly kind: ErrorKind,
    readonly reason: string,
    message: string,
    details: ErrorDetails = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.violations = details.violations ?? [];
    this.retryAfterMs = details.retryAfterMs ?? 0;
    this.cell = details.cell ?? "";
  }
}

/** The execution failed, was canceled or terminated, and has no result. */
export class ExecutionFailed extends FlowmeshError {
  override readonly name = "ExecutionFailed";

  /** @internal */
  constructor(
    readonly executionId: string,
    readonly status: Status,
    readonly failure: Failure | undefined,
  ) {
    const cause = failure ? `: ${describeFailure(failure)}` : "";
    super("ExecutionFailed", "EXECUTION_FAILED", `execution ${executionId} ${status}${cause}`);
  }
}

/** Optional parts of a {@link TaskFailure}. */
export interface TaskFailureOptions {
  /** Minimum delay before the next attempt. */
  readonly retryAfterMs?: number;
  /** Any JSON value of at most 256 KiB, stored with the failure. */
  readonly details?: unknown;
}

/** Thrown by a handler to choose the class on which retry policies decide. */
export class TaskFailure extends Error {
  override readonly name: string = "TaskFailure";

  /** `class` is a class of docs/retries.md, or a name of your own. */
  constructor(
    readonly failureClass: string,
    message = "",
    readonly options: TaskFailureOptions = {},
  ) {
    super(message);
  }
}

/** Thrown by a handler whose failure no further attempt would change. */
export class NonRetryable extends TaskFailure {
  override readonly name = "NonRetryable";

  constructor(message: string, options: TaskFailureOptions = {}) {
    super("NonRetryable", message, options);
  }
}

/** The task was canceled or timed out, or its worker stops. */
export class TaskCancelled extends Error {
  override readonly name = "TaskCancelled";
}

/** Return the reason of an error of a call, or "" for any other value. */
export function reasonOf(error: unknown): string {
  return error instanceof FlowmeshError ? error.reason : "";
}

/** @internal */
export function invalid(reason: string, message: string): FlowmeshError {
  return new FlowmeshError("Invalid", reason, message);
}

/** @internal */
export function draining(what: string): FlowmeshError {
  return new FlowmeshError("Closed", "DRAINING", `the ${what} is closed`);
}

/** @internal */
export function stillRunning(executionId: string, timeoutMs: number): FlowmeshError {
  const text = `execution ${executionId} is still running after ${timeoutMs} ms`;
  return new FlowmeshError("Timeout", "SYNC_TIMEOUT", text);
}

function describeFailure(failure: Failure): string {
  const place = failure.state ? `state ${failure.state}` : failure.node;
  return `${failure.class}${place ? ` in ${place}` : ""}: ${failure.message}`;
}
