/** Events of histories, with the names and members of REST. */
import { isMessage } from "@bufbuild/protobuf";
import type { Json } from "../json.js";
import { FailureSchema } from "../proto/flowmesh/api/common/v1/failure_pb.js";
import { JournalKindSchema } from "../proto/flowmesh/api/common/v1/journal_pb.js";
import { PayloadSchema } from "../proto/flowmesh/api/common/v1/payload_pb.js";
import { SearchValueSchema } from "../proto/flowmesh/api/common/v1/search_pb.js";
import type { LifecycleEvent } from "../proto/flowmesh/api/event/v1/event_service_pb.js";
import {
  ExecutionStatusSchema,
  HoldReasonSchema,
  NodeActionSchema,
} from "../proto/flowmesh/api/execution/v1/execution_pb.js";
import {
  type HistoryEvent,
  SkipReasonSchema,
} from "../proto/flowmesh/api/history/v1/history_event_pb.js";
import { type Event, isLast } from "../values.js";
import type { Payloads } from "./payloads.js";
import { moment, searchValueOf, word } from "./views.js";

/** The type of an event that is derived and not stored. */
export const SIGNAL_FLOW = "SignalFlow";

const STEERED = "reason actor requestId";
// The members of each event: `name`, or `name=field`; with `!` also if it is empty.
const MEMBERS: { readonly [event: string]: string } = {
  workflowStarted:
    "version! input! rerunOf=origin.executionId fromNodes=origin.fromNodes permissions requestId" +
    " actor",
  workflowCompleted: "output!",
  workflowFailed: "error=failure!",
  workflowCanceled: STEERED,
  workflowPaused: STEERED,
  workflowResumed: STEERED,
  workflowTerminated: STEERED,
  taskStarted: "workerId delivery startedAt=startedAtUs",
  taskCompleted: "output! metadata",
  taskFailed: "error=failure!",
  taskRetrying: "error=failure! retryAt=retryAtUs!",
  taskSkipped: "reason becauseOf",
  timerStarted: "fireAt=fireAtUs!",
  signalReceived: "name! payload! actor requestId",
  pageTurned: "cursor!",
  childRequested: "workflow=workflowId",
  childStarted: "childExecutionId=executionId version joined",
  childEnded: "childExecutionId=executionId status",
  workflowContinued: "input!",
  waitKeyed: "key!",
  nodeSteered: "action reason actor requestId reopened input output",
  taskHeld: "error=failure!",
  breakpointsSet: "all! nodes! actor requestId",
  compensationStarted: `outcome! error=failure ${STEERED}`,
  resultReused: "output",
  approvalRequested: "assignees! needed! details! dueAt=dueAtUs",
  approvalDecided: "by! approved! form comment requestId",
  approvalEscalated: "assignees! dueAt=dueAtUs!",
  searchAttributesSet: "values! removed actor requestId",
  payloadsErased: STEERED,
  journalAppended: "records!",
  variableSet: `name! value! ${STEERED}`,
  workflowHeld: "reason=hold.reason! until=hold.untilUs key=hold.key",
  startDebounced: "input! until=untilUs actor requestId",
  executionJoined: "by=byId! task=byNode! attempt=byAttempt!",
};
const WORDS: { readonly [member: string]: (value: number) => string } = {
  "taskSkipped.reason": (value) => word(SkipReasonSchema, value).toUpperCase(),
  "nodeSteered.action": (value) => word(NodeActionSchema, value).toUpperCase(),
  "childEnded.status": (value) => word(ExecutionStatusSchema, value),
  "compensationStarted.outcome": (value) => word(ExecutionStatusSchema, value),
  "workflowHeld.hold.reason": (value) => word(HoldReasonSchema, value),
};
// biome-ignore lint/suspicious/noExplicitAny: the members of messages are read by name
type Members = any;

/** Return an event of a stream. */
export function eventOf(message: LifecycleEvent, payloads: Payloads, cursor = ""): Event {
  const { event, signalFlow, executionId, workflowId } = message;
  const found = historyEventOf(event, executionId, workflowId, payloads);
  if (!signalFlow) {
    return { ...found, cursor };
  }
  const data = { from: signalFlow.fromNode, to: signalFlow.toNode };
  return { ...found, type: SIGNAL_FLOW, data, cursor, last: false };
}

/** Return an event of a history. */
export function historyEventOf(
  event: HistoryEvent | undefined,
  executionId: string,
  workflowId: string,
  payloads: Payloads,
): Event {
  const name = event?.event.case ?? "";
  const body: Members = event?.event.value ?? {};
  const type = name ? `${name[0]?.toUpperCase()}${name.slice(1)}` : "";
  return {
    type,
    sequence: Number(event?.sequence ?? 0),
    executionId,
    workflowId,
    node: body.node ?? "",
    attempt: body.attempt ?? 0,
    at: moment(event?.atUs ?? 0n),
    data: dataOf(name, body, payloads),
    cursor: "",
    last: isLast(type),
  };
}

function dataOf(name: string, body: Members, payloads: Payloads): { [member: string]: Json } {
  const data: { [member: string]: Json } = {};
  for (const spec of (MEMBERS[name] ?? "").split(" ").filter(Boolean)) {
    const isKept = spec.endsWith("!");
    const [member = "", path = member] = spec.replace("!", "").split("=");
    const value = path.split(".").reduce((part, key) => part?.[key], body);
    const isEmpty = !value || value.length === 0;
    if (!isEmpty || isKept) {
      const toWord = WORDS[`${name}.${path}`];
      data[member] = toWord ? toWord(value) : shown(path, value, payloads);
    }
  }
  return data;
}

function shown(path: string, value: Members, payloads: Payloads): Json {
  if (isMessage(value, PayloadSchema)) {
    return payloads.value(value) as Json;
  }
  if (isMessage(value, FailureSchema)) {
    return failureView(value, payloads);
  }
  if (value instanceof Uint8Array) {
    return payloads.json(value);
  }
  if (path.endsWith("Us")) {
    return instant(value);
  }
  if (path === "values") {
    const values = value.filter((each: unknown) => isMessage(each, SearchValueSchema));
    return Object.fromEntries(
      values.map((each: Members) => {
        const found = searchValueOf(each);
        return [each.name, found instanceof Date ? instant(each.value.value) : found];
      }),
    );
  }
  if (path === "records") {
    return value.map((record: Members) => recordView(record, payloads));
  }
  return value ?? null;
}

function failureView(failure: Members, payloads: Payloads): Json {
  return {
    class: failure.class,
    message: failure.message,
    ...(failure.node && { taskId: failure.node }),
    ...(failure.state && { state: failure.state }),
    ...(failure.details.length > 0 && { details: payloads.json(failure.details) }),
  };
}

const OUTCOMES: { readonly [name: string]: string } = {
  output: "completed",
  failure: "failed",
  canceled: "canceled",
  timedOut: "timedOut",
};

function recordView(record: Members, payloads: Payloads): Json {
  const { case: outcome, value } = record.outcome;
  return {
    index: record.index,
    kind: word(JournalKindSchema, record.kind),
    ...(record.name && { name: record.name }),
    ...(record.delayMs && { delayMs: Number(record.delayMs) }),
    status: outcome ? (OUTCOMES[outcome] ?? "unknown") : "open",
    ...(outcome === "output" && { output: payloads.value(value) as Json }),
    ...(outcome === "failure" && { error: failureView(value, payloads) }),
  };
}

/** Return microseconds since 1970 as RFC 3339 with microseconds. */
function instant(micros: bigint): string {
  const at = new Date(Number(micros / 1_000n)).toISOString().slice(0, -1);
  return `${at}${String(micros % 1_000n).padStart(3, "0")}Z`;
}
