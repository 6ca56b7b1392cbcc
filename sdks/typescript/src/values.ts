/**
 * Executions, nodes and events as plain values.
 *
 * @packageDocumentation
 */
import type { Json } from "./json.js";

/** Status of an execution; `unknown` is one of a newer server. */
export type Status =
  | "pending"
  | "running"
  | "paused"
  | "completed"
  | "failed"
  | "canceled"
  | "terminated"
  | "compensating"
  | "continued"
  | "unknown";

/** Status of a node; `unknown` is one of a newer server. */
export type NodeStatus =
  | "pending"
  | "running"
  | "completed"
  | "failed"
  | "skipped"
  | "canceled"
  | "unknown";

/** Failure of an attempt, a node or an execution. */
export interface Failure {
  /** Class on which retry policies decide, such as `Timeout` or a name of a handler. */
  readonly class: string;
  readonly message: string;
  readonly node: string;
  /** State of the node, in a state machine of a standard format. */
  readonly state: string;
  readonly retryAfterMs: number;
  readonly details: Json;
}

/** A value above 256 KiB that was not fetched; `client.fetch(value)` returns it. */
export interface StoredValue {
  readonly $payload: {
    readonly digest: string;
    readonly sizeBytes: number;
    readonly encoding: string;
  };
}

/** Return whether a value of an event or a node is a reference to a stored one. */
export function isStored(value: unknown): value is StoredValue {
  return typeof value === "object" && value !== null && "$payload" in value;
}

/** A node with its attempts, times, and output or failure. */
export interface Node {
  readonly id: string;
  readonly name: string;
  readonly status: NodeStatus;
  /** Number of started attempts. */
  readonly attempts: number;
  readonly dependencies: readonly string[];
  readonly taskType: string;
  readonly workerId: string;
  readonly scheduledAt: Date | undefined;
  readonly startedAt: Date | undefined;
  readonly endedAt: Date | undefined;
  /** Due time of the next attempt or timer. */
  readonly dueAt: Date | undefined;
  readonly output: Json | StoredValue;
  readonly failure: Failure | undefined;
  readonly metadata: Json;
  /** The last execution that the node started. */
  readonly childExecutionId: string;
  /** The node waits for an operator. */
  readonly held: boolean;
  /** The node that this one compensates. */
  readonly undoes: string;
}

/** A signal that an execution received. */
export interface SignalReceived {
  readonly name: string;
  readonly payload: Json | StoredValue;
  readonly receivedAt: Date | undefined;
}

/** One running or ended execution, as last committed. */
export interface Execution {
  readonly id: string;
  readonly namespace: string;
  readonly workflowId: string;
  readonly workflowVersion: number;
  readonly status: Status;
  readonly startedAt: Date | undefined;
  readonly endedAt: Date | undefined;
  readonly input: Json | StoredValue;
  readonly output: Json | StoredValue;
  readonly failure: Failure | undefined;
  readonly lastSequence: number;
  readonly requestId: string;
  /** Nodes in the order of the definition; empty in lists. */
  readonly nodes: readonly Node[];
  readonly signals: readonly SignalReceived[];
  readonly variables: { readonly [name: string]: Json };
  /** Labels and search attributes by their full names. */
  readonly search: { readonly [name: string]: string | number | boolean | Date };
  readonly parentId: string;
  readonly continuedFrom: string;
  readonly continuedAs: string;
  /** `compensating`, `compensated`, `failed` or empty. */
  readonly compensation: string;
  readonly rerunOf: string;
  /** The values of the execution were erased on request. */
  readonly erased: boolean;
}

/** An event of the history of an execution. */
export interface Event {
  /** Public name, such as `TaskCompleted`; empty for an event of a newer server. */
  readonly type: string;
  /** Number of the event in its execution: 1, 2, 3 … without gaps. */
  readonly sequence: number;
  readonly executionId: string;
  readonly workflowId: string;
  readonly node: string;
  readonly attempt: number;
  readonly at: Date | undefined;
  /** Members as in REST; a value above 256 KiB is a {@link StoredValue}. */
  readonly data: { readonly [member: string]: Json };
  /** Position from which a subscription to all executions resumes. */
  readonly cursor: string;
  /** True for the last event of an execution. */
  readonly last: boolean;
}

const END_TYPES = new Set([
  "WorkflowCompleted",
  "WorkflowFailed",
  "WorkflowCanceled",
  "WorkflowTerminated",
  "WorkflowContinued",
]);
const ENDED = new Set<Status>(["completed", "failed", "canceled", "terminated", "continued"]);

/** Return whether a type of event is the last one of an execution. */
export function isLast(type: string): boolean {
  return END_TYPES.has(type);
}

/** Return whether an execution with this status has ended. */
export function hasEnded(status: Status): boolean {
  return ENDED.has(status);
}
