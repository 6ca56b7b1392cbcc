/** Values of the driver: JSON of commands, answers and errors. */
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type Event,
  type Execution,
  ExecutionFailed,
  type Failure,
  FlowmeshError,
} from "@flowmesh/client";

// biome-ignore lint/suspicious/noExplicitAny: the members of commands
type Json = any;
const TEXT_CHARS_MAX = 1_000;

export function expanded(value: Json): Json {
  if (Array.isArray(value)) {
    return value.map(expanded);
  }
  if (typeof value !== "object" || value === null) {
    return value;
  }
  if ("$text" in value) {
    return "x".repeat(value.$text);
  }
  if ("$bad" in value) {
    const cycle: Json[] = [];
    cycle.push(cycle);
    const bad: Json = { cycle, surrogate: "\ud800", function: expanded };
    return bad[value.$bad] ?? Number.NaN;
  }
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, expanded(item)]));
}

export function shortened(value: Json): Json {
  if (typeof value === "string" && value.length > TEXT_CHARS_MAX) {
    return { $text: value.length, sha256: createHash("sha256").update(value).digest("hex") };
  }
  if (Array.isArray(value)) {
    return value.map(shortened);
  }
  if (typeof value !== "object" || value === null) {
    return value;
  }
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, shortened(item)]));
}

export function errorJson(error: unknown): Json {
  if (error instanceof ExecutionFailed) {
    const { kind, message, status } = error;
    return { kind, reason: "", message, status, failure: failureJson(error.failure) };
  }
  if (!(error instanceof FlowmeshError)) {
    const kind = error instanceof TypeError ? "Usage" : "Internal";
    return { kind, reason: "", message: String(error) };
  }
  const { kind, reason, message, violations, retryAfterMs } = error;
  return {
    ...{ kind, reason, message },
    ...(violations.length > 0 && { violations }),
    ...(retryAfterMs && { retryAfterMs }),
  };
}

function failureJson(failure: Failure | undefined): Json {
  return failure ? { class: failure.class, message: failure.message, node: failure.node } : null;
}

export function executionJson(execution: Execution): Json {
  const { id, workflowId, workflowVersion, status, lastSequence, variables } = execution;
  const nodes = execution.nodes.map(({ id, status, attempts, taskType, failure, held }) => {
    return [id, { status, attempts, taskType, failure: failureJson(failure), held }];
  });
  const failure = failureJson(execution.failure);
  const named = { id, workflow: workflowId, version: workflowVersion };
  return { ...named, status, lastSequence, failure, variables, nodes: Object.fromEntries(nodes) };
}

export async function eventsJson(events: AsyncIterable<Event>, delayMs = 0): Promise<Json> {
  const found: Json[] = [];
  for await (const { type, sequence, node } of events) {
    found.push({ type, sequence, node });
    if (delayMs) {
      await sleep(delayMs);
    }
  }
  return { events: found };
}
