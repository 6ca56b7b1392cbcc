import type { DrawnEdge } from "@/editing/placing";
import type { Task } from "@/text/workflow";

/** The way of a saga back: from a task to the nearest ones before it that are undone too. */
export function undoneOf(tasks: readonly Task[], edges: readonly DrawnEdge[]): DrawnEdge[] {
  const undone = new Set(tasks.filter((each) => each.undo).map((each) => each.id));
  if (undone.size < 2) return [];
  const above = new Map<string, string[]>();
  for (const { from, to } of edges) above.set(to, [...(above.get(to) ?? []), from]);
  return [...undone].flatMap((from) => {
    const seen = new Set<string>();
    const stack = [...(above.get(from) ?? [])];
    const found: DrawnEdge[] = [];
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      if (seen.has(next)) continue;
      seen.add(next);
      if (undone.has(next)) found.push({ from, to: next, label: "undo", implied: true });
      else stack.push(...(above.get(next) ?? []));
    }
    return found;
  });
}
