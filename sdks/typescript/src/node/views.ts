/** Messages of the contracts as plain values. */
import type { DescEnum } from "@bufbuild/protobuf";
import type { Json } from "../json.js";
import type { Failure as FailureMessage } from "../proto/flowmesh/api/common/v1/failure_pb.js";
import type { SearchValue } from "../proto/flowmesh/api/common/v1/search_pb.js";
import {
  CompensationStateSchema,
  type Execution as ExecutionMessage,
  ExecutionStatusSchema,
  type Node as NodeMessage,
  NodeStatusSchema,
} from "../proto/flowmesh/api/execution/v1/execution_pb.js";
import type { Execution, Failure, Node, NodeStatus, Status } from "../values.js";
import type { Payloads } from "./payloads.js";

/** Return the word of an enum value without its prefix; `unknown` for one of a newer server. */
export function word(schema: DescEnum, number: number): string {
  const name = schema.value[number]?.name;
  return name ? name.slice((schema.sharedPrefix ?? "").length).toLowerCase() : "unknown";
}

/** Return microseconds since 1970 as a time; 0 is none. */
export function moment(micros: bigint): Date | undefined {
  return micros ? new Date(Number(micros / 1_000n)) : undefined;
}

export function statusOf(number: number): Status {
  return word(ExecutionStatusSchema, number) as Status;
}

/** Return the number of a status in the contract. */
export function numberOf(status: Status): number {
  const name = `EXECUTION_STATUS_${status.toUpperCase()}`;
  return ExecutionStatusSchema.values.find((value) => value.name === name)?.number ?? 0;
}

export function failureOf(
  message: FailureMessage | undefined,
  payloads: Payloads,
): Failure | undefined {
  if (!message) {
    return undefined;
  }
  return {
    class: message.class,
    message: message.message,
    node: message.node,
    state: message.state,
    retryAfterMs: Number(message.retryAfterMs),
    details: payloads.json(message.details),
  };
}

export function executionOf(message: ExecutionMessage, payloads: Payloads): Execution {
  return {
    id: message.executionId,
    namespace: message.namespace,
    workflowId: message.workflowId,
    workflowVersion: message.workflowVersion,
    status: statusOf(message.status),
    startedAt: moment(message.startedAtUs),
    endedAt: moment(message.endedAtUs),
    input: payloads.value(message.input) as Json,
    output: payloads.value(message.output) as Json,
    failure: failureOf(message.failure, payloads),
    lastSequence: Number(message.lastSequence),
    requestId: message.requestId,
    nodes: message.nodes.map((node) => nodeOf(node, payloads)),
    signals: message.signals.map((signal) => ({
      name: signal.name,
      payload: payloads.value(signal.payload) as Json,
      receivedAt: moment(signal.receivedAtUs),
    })),
    variables: Object.fromEntries(
      Object.entries(message.variables).map(([name, value]) => [
        name,
        payloads.value(value) as Json,
      ]),
    ),
    search: Object.fromEntries(message.search.map((each) => [each.name, searchValueOf(each)])),
    parentId: message.link?.parentId ?? "",
    continuedFrom: message.link?.continuedFrom ?? "",
    continuedAs: message.continuedAs,
    compensation: message.compensation ? word(CompensationStateSchema, message.compensation) : "",
    rerunOf: message.origin?.executionId ?? "",
    erased: message.erasure !== undefined,
  };
}

function nodeOf(message: NodeMessage, payloads: Payloads): Node {
  return {
    id: message.id,
    name: message.name || message.id,
    status: word(NodeStatusSchema, message.status) as NodeStatus,
    attempts: message.attempts,
    dependencies: message.dependencies,
    taskType: message.taskType,
    workerId: message.workerId,
    scheduledAt: moment(message.scheduledAtUs),
    startedAt: moment(message.startedAtUs),
    endedAt: moment(message.endedAtUs),
    dueAt: moment(message.dueAtUs),
    output: payloads.value(message.output) as Json,
    failure: failureOf(message.failure, payloads),
    metadata: payloads.json(message.metadata),
    childExecutionId: message.childExecutionId,
    held: message.held,
    undoes: message.undoes,
  };
}

/** Return a search attribute: a text, a number, a flag or a time. */
export function searchValueOf({ value }: SearchValue): string | number | boolean | Date {
  if (value.case === "timeUs") {
    return moment(value.value) ?? new Date(0);
  }
  return value.value ?? "";
}
