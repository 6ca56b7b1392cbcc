/** Executions that run for longer than those of their workflow usually do. */

import { quoted } from "./filter";

/** Percentiles of ended executions of a workflow. */
export interface Usual {
  values: Record<string, string>;
  count: number;
  p95Ms?: number;
}

/** How far behind the 95th percentile an execution is late. */
const FACTOR = 1.5;
/** Fewer completed executions tell nothing of the usual duration. */
const ENDED_MIN = 5;
const LATE_S_MIN = 10;
/** Bounds of a filter of the server: 64 values, two for each workflow, and 4 KiB. */
const WORKFLOWS_MAX = 24;
const CHARACTERS_MAX = 3_600;

/** The seconds after which an execution of a workflow is late, for workflows with enough of them. */
export function lateAfter(usual: readonly Usual[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  const longest = new Map<string, number>();
  for (const { values, count, p95Ms = 0 } of usual) {
    const { workflow = "" } = values;
    counts.set(workflow, (counts.get(workflow) ?? 0) + count);
    longest.set(workflow, Math.max(longest.get(workflow) ?? 0, p95Ms));
  }
  const seconds = (p95Ms: number) => Math.max(LATE_S_MIN, Math.ceil((p95Ms * FACTOR) / 1_000));
  return new Map(
    [...longest]
      .filter(([workflow]) => (counts.get(workflow) ?? 0) >= ENDED_MIN)
      .map(([workflow, p95Ms]) => [workflow, seconds(p95Ms)]),
  );
}

/** The filter for the late executions of a workflow that need no decision of a person. */
export function lateOf(workflow: string, seconds: number): string {
  return `workflow = ${quoted(workflow)} AND status = running AND needs = null AND started < "-${seconds}s"`;
}

/** The filter for the late ones of all these workflows, as many as fit in; nothing without any. */
export function anyLate(
  running: readonly string[],
  after: ReadonlyMap<string, number>,
): string | undefined {
  const terms: string[] = [];
  let characters = 0;
  for (const workflow of running) {
    const seconds = after.get(workflow);
    if (seconds === undefined) continue;
    const term = `(workflow = ${quoted(workflow)} AND started < "-${seconds}s")`;
    characters += new TextEncoder().encode(term).length + " OR ".length;
    if (terms.length === WORKFLOWS_MAX || characters > CHARACTERS_MAX) break;
    terms.push(term);
  }
  if (terms.length === 0) return undefined;
  return `status = running AND needs = null AND (${terms.join(" OR ")})`;
}
