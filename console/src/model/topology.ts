/** What calls what: services of the suite, workflows, and services outside of it. */

import type {
  CallTopology,
  MapWorkflow,
  ServiceValue,
  TopologyAnswer,
  TopologyEdgeValue,
} from "@/api/schema";
import { grouped } from "./grouped";

export type Health = "healthy" | "degraded" | "unhealthy" | "offline";

export interface SuiteService {
  name: string;
  health: Health;
  instances: number;
}

export interface OutsideService {
  name: string;
  kind: string;
  callers: string[];
  tasks: number;
}

/** Calls of the last minutes from a workflow or a service to a service. */
export interface Calls extends Omit<TopologyEdgeValue, "target"> {
  /** The name of the called service as in `outside`. */
  target: string;
  perMinute: number;
}

export interface Topology {
  suite: SuiteService[];
  /** Workflows, and the services that call other services. */
  workflows: { name: string; services: string[] }[];
  outside: OutsideService[];
  calls: Calls[];
}

/** The type of the services of Flowmesh. */
const CORE = "core";
/** The prefix of services that are called by the name of their registration. */
const REGISTERED = "service:";

const WORST: readonly Health[] = ["offline", "unhealthy", "degraded", "healthy"];

export function topologyOf(
  services: readonly ServiceValue[],
  workflows: readonly MapWorkflow[],
  called?: CallTopology,
): Topology {
  const core = services.filter((each) => each.type === CORE);
  const suite = grouped(core, (each) => each.name).map(
    ([name, instances]): SuiteService => ({
      name,
      health: healthOf(instances) ?? "offline",
      instances: instances.length,
    }),
  );
  const outside = new Map<string, OutsideService>();
  for (const { name, type } of services) {
    const key = REGISTERED + name;
    if (type !== CORE) outside.set(key, { name: key, kind: kindOf(key), callers: [], tasks: 0 });
  }
  for (const workflow of workflows) {
    for (const task of workflow.tasks) {
      if (!task.service) continue;
      const known = outside.get(task.service) ?? {
        name: task.service,
        kind: kindOf(task.service),
        callers: [],
        tasks: 0,
      };
      if (!known.callers.includes(workflow.workflow)) known.callers.push(workflow.workflow);
      known.tasks += 1;
      outside.set(task.service, known);
    }
  }
  const calls = callsOf(called);
  const callers = new Map(workflows.map((each) => [each.workflow, new Set(each.services)]));
  for (const { source, target } of calls) {
    callers.set(source, (callers.get(source) ?? new Set()).add(target));
    const known = outside.get(target) ?? {
      name: target,
      kind: kindOf(target),
      callers: [],
      tasks: 0,
    };
    if (!known.callers.includes(source)) known.callers.push(source);
    outside.set(target, known);
  }
  return {
    suite: suite.sort((left, right) => left.name.localeCompare(right.name)),
    workflows: [...callers].map(([name, targets]) => ({ name, services: [...targets] })),
    outside: [...outside.values()].sort((left, right) => left.name.localeCompare(right.name)),
    calls,
  };
}

/** A service that tasks of a workflow call; health and calls of a registered one. */
export interface CalledService {
  name: string;
  kind: string;
  tasks: string[];
  health: Health | undefined;
  calls: Calls | undefined;
}

/** One workflow with the services that it calls, and these in words. */
export function topologyOfWorkflow(
  { workflow, version, spokes }: TopologyAnswer,
  services: readonly ServiceValue[],
  calls: CallTopology | undefined,
): { topology: Topology; called: CalledService[] } {
  const names = new Set(spokes.map((each) => each.service));
  const near = services.filter((each) => each.type === CORE || names.has(REGISTERED + each.name));
  const edges = (calls?.edges ?? []).filter(
    (each) => each.source === workflow && names.has(nameOf(each.target)),
  );
  const topology = topologyOf(
    near,
    [
      {
        workflow,
        version,
        services: [...names],
        tasks: spokes.flatMap(({ service, tasks }) =>
          tasks.map((id) => ({ id, type: "", service })),
        ),
        edges: [],
        tasksCapped: false,
        labels: {},
      },
    ],
    { minutes: calls?.minutes ?? 1, nodes: [], edges },
  );
  const called = spokes.map(({ service, tasks }) => ({
    name: service,
    kind: kindOf(service),
    tasks,
    health: healthOf(near.filter((each) => REGISTERED + each.name === service)),
    calls: topology.calls.find((each) => each.target === service),
  }));
  return { topology, called };
}

/** A service is as well as its best instance. */
function healthOf(instances: readonly ServiceValue[]): Health | undefined {
  const healths = instances.map((each) => each.status.toLowerCase() as Health);
  return WORST.findLast((health) => healths.includes(health));
}

/** Names of systems that are no registered services, as tasks name them. */
const UNREGISTERED = /^(https?:|grpc:|db:|workers of |\(computed\)$|subscribers$)/;

/** The name of a called system as tasks name it. */
function nameOf(target: string): string {
  return UNREGISTERED.test(target) ? target : REGISTERED + target;
}

/** The calls, most first. */
function callsOf(called: CallTopology | undefined): Calls[] {
  const { edges = [], minutes = 1 } = called ?? {};
  return edges
    .map((each) => ({
      ...each,
      target: nameOf(each.target),
      perMinute: each.calls / Math.max(1, minutes),
    }))
    .sort((left, right) => right.calls - left.calls);
}

/** The name of a service as it is shown. */
export function shownService(name: string): string {
  return name.startsWith(REGISTERED) ? name.slice(REGISTERED.length) : name;
}

/** `12` or `0.4`: a rate with the digits that tell something. */
export function rate(perMinute: number): string {
  return perMinute >= 10 ? String(Math.round(perMinute)) : String(Number(perMinute.toPrecision(2)));
}

function kindOf(service: string): string {
  if (service.startsWith("workers of ")) return "workers";
  if (service.startsWith("grpc://")) return "gRPC";
  if (service.startsWith("db:")) return "database";
  if (service.startsWith("http")) return "HTTP";
  return service === "(computed)" ? "address known at run time" : "service";
}
