/** Workflows of a topology put together, so that a picture of many has few lines. */

import { grouped } from "./grouped";
import type { Calls, Topology } from "./topology";

/** So many workflows that call the same services are one box. */
const ALIKE_MIN = 3;

export interface Group {
  /** The name of its box; no workflow has such a name. */
  name: string;
  /** The team, or nothing where its workflows only call the same services. */
  team: string | undefined;
  members: readonly string[];
}

/** Workflows by their team, and others by the services that they call. */
export function groupsOf(topology: Topology, teams: ReadonlyMap<string, string>): Group[] {
  const keyOf = ({ name, services }: Topology["workflows"][number]) => {
    const team = teams.get(name);
    return team === undefined ? `alike ${JSON.stringify(services.toSorted())}` : `team ${team}`;
  };
  return grouped(topology.workflows, keyOf)
    .filter(([key, members]) => key.startsWith("team ") || members.length >= ALIKE_MIN)
    .map(([key, members]) => ({
      name: key,
      team: key.startsWith("team ") ? key.slice("team ".length) : undefined,
      members: members.map((each) => each.name),
    }));
}

/** The topology with each of these groups as one workflow that makes the calls of its members. */
export function withGroups(topology: Topology, groups: readonly Group[]): Topology {
  const boxOf = new Map(groups.flatMap(({ name, members }) => members.map((each) => [each, name])));
  const named = (name: string) => boxOf.get(name) ?? name;
  const workflows = grouped(topology.workflows, (each) => named(each.name)).map(
    ([name, members]) => ({
      name,
      services: [...new Set(members.flatMap((each) => each.services))],
    }),
  );
  const calls = grouped(topology.calls, (each) =>
    JSON.stringify([named(each.source), each.target]),
  );
  return { ...topology, workflows, calls: calls.map(([, all]) => together(all, named)) };
}

/** Only what a name is connected with; the whole without a name. */
export function around(topology: Topology, name: string | undefined): Topology {
  const called = topology.workflows.find((each) => each.name === name)?.services;
  const callers = topology.workflows.filter((each) => name && each.services.includes(name));
  if (!name || (!called && callers.length === 0)) return topology;
  const sources = new Set([name, ...callers.map((each) => each.name)]);
  const targets = new Set([name, ...(called ?? [])]);
  return {
    suite: topology.suite,
    workflows: topology.workflows
      .filter((each) => sources.has(each.name))
      .map((each) => ({ ...each, services: each.services.filter((one) => targets.has(one)) })),
    outside: topology.outside.filter((each) => targets.has(each.name)),
    calls: topology.calls.filter((each) => sources.has(each.source) && targets.has(each.target)),
  };
}

function together(all: readonly Calls[], named: (name: string) => string): Calls {
  const [first] = all as readonly [Calls, ...Calls[]];
  const sum = (of: (each: Calls) => number) => all.reduce((total, each) => total + of(each), 0);
  return {
    ...first,
    source: named(first.source),
    calls: sum((each) => each.calls),
    errors: sum((each) => each.errors),
    perMinute: sum((each) => each.perMinute),
  };
}
