/** Events in words: label, family, and the most telling of their data. */

import type { FeedEvent } from "@/api/feed";
import { bytes, duration } from "@/model/durations";
import type { Family } from "@/model/status";

const FAMILIES: Record<string, Family> = {
  WorkflowStarted: "running",
  WorkflowCompleted: "success",
  WorkflowFailed: "failed",
  TaskScheduled: "neutral",
  TaskStarted: "running",
  TaskCompleted: "success",
  TaskFailed: "failed",
  TaskRetrying: "attention",
  TaskHeld: "attention",
  ApprovalRequested: "attention",
  BreakpointReached: "attention",
  NodeSteered: "attention",
  CompensationStarted: "undoing",
};

export function eventFamily(event: FeedEvent): Family {
  return FAMILIES[event.type] ?? "neutral";
}

/** `TaskCompleted` as `Task completed`. */
export function eventLabel(event: FeedEvent): string {
  const words = event.type.replace(/([a-z])([A-Z])/g, "$1 $2");
  return words.charAt(0) + words.slice(1).toLowerCase();
}

type Data = Record<string, unknown>;

export function eventSummary(event: FeedEvent): string {
  const { data } = event;
  const parts = [
    errorText(data.error),
    sized("input", data.input),
    sized("output", data.output),
    sized("payload", data.payload),
    named("name", data.name),
    named("action", lower(data.action)),
    named("reason", reason(data.reason)),
    named("by", data.actor ?? data.by),
    named("worker", data.workerId),
    Number(data.delivery) > 1 ? named("delivery", String(data.delivery)) : "",
    named("child", data.childExecutionId),
    named("workflow", data.workflow),
    named("because of", data.becauseOf),
    until(event, data.retryAt ?? data.fireAt ?? data.dueAt ?? data.until),
    Array.isArray(data.assignees) ? named("for", data.assignees.join(", ") || "any person") : "",
    typeof data.approved === "boolean" ? (data.approved ? "approved" : "rejected") : "",
  ];
  return parts.filter(Boolean).join(" · ");
}

function errorText(error: unknown): string {
  const { class: kind, message } = (error ?? {}) as Data;
  return kind ? `${kind}: ${message}` : "";
}

function sized(label: string, value: unknown): string {
  const size = (value as Data | undefined)?.bytes;
  return typeof size === "number" && size > 0 ? `${label} ${bytes(size)}` : "";
}

function named(label: string, value: unknown): string {
  return typeof value === "string" && value ? `${label} ${value}` : "";
}

function lower(value: unknown): string {
  return typeof value === "string" ? value.toLowerCase() : "";
}

/** A reason in words: `DEPENDENCY_FAILED` is `dependency failed`. */
function reason(value: unknown): unknown {
  if (typeof value !== "string" || !/^[A-Z_]+$/.test(value)) return value;
  return value.toLowerCase().replaceAll("_", " ");
}

function until(event: FeedEvent, at: unknown): string {
  if (typeof at !== "string") return "";
  return `due in ${duration(Date.parse(at) - Date.parse(event.timestamp))}`;
}
