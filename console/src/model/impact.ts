/** The verdict on each workflow that uses a task, for a change that the server has checked. */

import type { ProblemValue, Validation, WorkflowReference } from "@/api/schema";

export interface Impact {
  workflow: string;
  namespace: string | undefined;
  version: number;
  verdict: "breaks" | "changes" | "stays" | "unchecked";
  /** The problems that the change causes, or the pinned version. */
  reasons: string[];
}

/** The server checks no more workflows after so many problems. */
const BROKEN_MAX = 20;

/**
 * Return the impact on users of a task, those that break first, and the other problems.
 *
 * `here` is the namespace of the task; `namespace` of an impact is present if it is another one.
 */
export function impactOf(
  checked: Validation,
  users: readonly WorkflowReference[],
  here: string,
): { impacts: Impact[]; own: ProblemValue[] } {
  const broken = new Map<string, Impact>();
  const own: ProblemValue[] = [];
  let problems = 0;
  for (const problem of checked.problems) {
    if (!problem.broken) {
      own.push(problem);
      continue;
    }
    const { workflow, namespace, version, problem: reason } = problem.broken;
    problems += 1;
    const key = `${namespace} ${workflow} ${version}`;
    const known = broken.get(key) ?? {
      workflow,
      namespace: namespace === here ? undefined : namespace,
      version,
      verdict: "breaks",
      reasons: [],
    };
    broken.set(key, { ...known, reasons: [...known.reasons, reason] });
  }
  const others = users
    .filter((each) => !broken.has(`${each.namespace ?? here} ${each.name} ${each.version}`))
    .map(({ name: workflow, version, namespace, taskVersion }): Impact => {
      const at = { workflow, namespace, version };
      if (taskVersion) return { ...at, verdict: "stays", reasons: [String(taskVersion)] };
      const unchecked = problems >= BROKEN_MAX || own.some((each) => each.severity === "error");
      return { ...at, verdict: unchecked ? "unchecked" : "changes", reasons: [] };
    });
  const order = { breaks: 0, unchecked: 1, changes: 2, stays: 3 };
  const impacts = [...broken.values(), ...others];
  impacts.sort((one, other) => order[one.verdict] - order[other.verdict]);
  return { impacts, own };
}
