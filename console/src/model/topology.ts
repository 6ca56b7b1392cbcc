/** What calls what: services of the suite, workflows, and services outside of it. */

import type { MapWorkflow, ServiceValue } from "@/api/schema";
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

export interface Topology {
  suite: SuiteService[];
  workflows: { name: string; services: string[] }[];
  outside: OutsideService[];
}

const WORST: readonly Health[] = ["offline", "unhealthy", "degraded", "healthy"];

export function topologyOf(
  services: readonly ServiceValue[],
  workflows: readonly MapWorkflow[],
): Topology {
  const suite = grouped(services, (each) => each.name).map(([name, instances]): SuiteService => {
    const healths = instances.map((each) => each.status.toLowerCase() as Health);
    return {
      name,
      // A service is as well as its best instance; the others are counted.
      health: WORST.findLast((health) => healths.includes(health)) ?? "offline",
      instances: instances.length,
    };
  });
  const outside = new Map<string, OutsideService>();
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
  return {
    suite: suite.sort((left, right) => left.name.localeCompare(right.name)),
    workflows: workflows.map((each) => ({ name: each.workflow, services: each.services })),
    outside: [...outside.values()].sort((left, right) => left.name.localeCompare(right.name)),
  };
}

function kindOf(service: string): string {
  if (service.startsWith("workers of ")) return "workers";
  if (service.startsWith("grpc://")) return "gRPC";
  if (service.startsWith("db:")) return "database";
  if (service.startsWith("http")) return "HTTP";
  return service === "(computed)" ? "address known at run time" : "service";
}
