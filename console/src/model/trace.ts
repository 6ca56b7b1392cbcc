/** Words of the trace of an execution: the reasons of waits, and names that tell items apart. */

import type { TaskTrace, WaitPart } from "@/api/schema";

const REASONS: Record<WaitPart["reason"], string> = {
  dependency: "earlier tasks",
  start: "the start of the execution",
  pause: "the end of a pause",
  parallelism: "a place among the parallel tasks",
  items: "a place among the items",
  worker: "a worker",
  retry: "its retry",
  handler: "requests of its handler",
  signal: "a signal",
  child: "another execution",
  people: "a person",
  engine: "the orchestrator",
};

/** What a task spent its time on, such as "waited for a person"; other reasons are its run. */
export function costOf(reason: string): string {
  const awaited = REASONS[reason as WaitPart["reason"]];
  return awaited ? `waited for ${awaited}` : "ran";
}

/** The places of a task in maps and loops, such as "[3]" or "[3][0]"; empty outside of them. */
export function itemOf(id: string): string {
  return (id.match(/\[\d+\]/g) ?? []).join("");
}

/** The name of a task, and its item where it has one. */
export function nameOf({ id, name }: Pick<TaskTrace, "id" | "name">): string {
  const item = itemOf(id);
  return item ? `${name} ${item}` : name;
}

/** The time that a task waited for a decision, in milliseconds. */
export function decisionMs({ waits }: TaskTrace): number {
  return waits
    .filter(({ reason }) => reason === "people")
    .reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0);
}
