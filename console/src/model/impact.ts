/** The verdict on each workflow that uses a task, for a change that the server has checked. */

import type { ProblemValue, Validation, WorkflowReference } from "@/api/schema";

export interface Impact {
  workflow: string;
  namespace: string | undefined;
  version: number;
  verdict: "breaks" | "changes" | "stays";
  /** The problems that the change causes, or the pinned version. */
  reasons: string[];
}

/** `workflow NAME of namespace NAMESPACE, version N, would break: REASON` */
const BROKEN = /^workflow (\S+) of namespace (\S+), version (\d+), would break: (.*)$/s;

/** Return the impact on users of a task, those that break first, and the other problems. */
export function impactOf(
  checked: Validation,
  users: readonly WorkflowReference[],
): { impacts: Impact[]; own: ProblemValue[] } {
  const broken = new Map<string, string[]>();
  const own: ProblemValue[] = [];
  for (const problem of checked.problems) {
    const [, workflow, , version, reason = ""] = BROKEN.exec(problem.message) ?? [];
    if (!workflow) {
      own.push(problem);
      continue;
    }
    const key = `${workflow} ${version}`;
    broken.set(key, [...(broken.get(key) ?? []), reason]);
  }
  const impacts = users.map((each): Impact => {
    const { name: workflow, version, namespace, taskVersion } = each;
    const reasons = broken.get(`${workflow} ${version}`);
    const at = { workflow, namespace, version };
    if (reasons) return { ...at, verdict: "breaks", reasons };
    if (taskVersion) return { ...at, verdict: "stays", reasons: [String(taskVersion)] };
    return { ...at, verdict: "changes", reasons: [] };
  });
  const order = { breaks: 0, changes: 1, stays: 2 };
  impacts.sort((one, other) => order[one.verdict] - order[other.verdict]);
  return { impacts, own };
}
