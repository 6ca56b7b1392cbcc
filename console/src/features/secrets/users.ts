/** The workflows and library tasks of a project whose definitions name a secret. */

import { useQuery } from "@tanstack/react-query";
import { read, send } from "@/api/client";
import type { TaskAnswer, TaskList } from "@/api/schema";
import type { Place } from "@/model/access";
import { referencesOf } from "@/model/secrets";

/** The most definitions of each kind that are read. */
export const READ_MAX = 200;
const AT_ONCE = 6;

export interface User {
  kind: "workflow" | "task";
  name: string;
  references: ReadonlySet<string>;
}

export function useUsers(project: Place | undefined) {
  return useQuery({
    queryKey: ["secrets", "users", project?.id],
    enabled: !!project,
    queryFn: async ({ signal }) => {
      const kinds = project ? [workflowsOf(project, signal), tasksOf(project, signal)] : [];
      const found = await Promise.all(kinds);
      const users = found.flatMap((each) => each.users);
      return { users, capped: found.some((each) => each.capped) };
    },
  });
}

async function workflowsOf({ id }: Place, signal: AbortSignal) {
  const path = { projectId: id };
  const query = { pageSize: READ_MAX };
  const page = await read("/api/v1/projects/{projectId}/workflows", { path, query, signal });
  const names: readonly { name: string }[] = page.workflows;
  const users = await each(names, async ({ name }): Promise<User> => {
    const one = "/api/v1/projects/{projectId}/workflows/{name}";
    const { definition } = await read(one, { path: { ...path, name }, signal });
    return { kind: "workflow", name, references: referencesOf(definition) };
  });
  return { users, capped: !!page.nextPageToken };
}

async function tasksOf({ namespace = "" }: Place, signal: AbortSignal) {
  const conditions = { "flowmesh-namespace": namespace };
  const query = { pageSize: READ_MAX };
  const listed = await send("/api/v1/tasks", { query, conditions, signal });
  const page = (await listed.json()) as TaskList;
  const users = await each(page.tasks, async ({ name }): Promise<User> => {
    const found = await send("/api/v1/tasks/{name}", { path: { name }, conditions, signal });
    const { definition } = (await found.json()) as TaskAnswer;
    return { kind: "task", name, references: referencesOf(definition) };
  });
  return { users, capped: !!page.nextPageToken };
}

/** The results of a call for each entry, a few calls at a time. */
async function each<T, R>(entries: readonly T[], call: (entry: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < entries.length; at += AT_ONCE) {
    results.push(...(await Promise.all(entries.slice(at, at + AT_ONCE).map(call))));
  }
  return results;
}
