/** Places of workflows, tasks and services in space: pure, the same for the same input. */

import type { MapWorkflow } from "@/api/schema";
import { ranks } from "./layout";

export type BodyKind = "sun" | "planet" | "star" | "service";

export interface Body {
  id: string;
  kind: BodyKind;
  name: string;
  /** The workflow of a sun or a planet. */
  workflow: string;
  x: number;
  y: number;
  z: number;
  size: number;
  /** Success rate of a sun in the last hour; `undefined` without executions. */
  success?: number | undefined;
}

export interface Galaxy {
  bodies: Body[];
  /** Pairs of places in `bodies`. */
  edges: [from: number, to: number][];
  index: ReadonlyMap<string, number>;
  /** For each planet the planets that follow it. */
  after: ReadonlyMap<number, readonly number[]>;
  radius: number;
  /** Whether planets were left out. */
  capped: boolean;
}

export interface Activity {
  started: number;
  completed: number;
  failed: number;
}

/** The name of a body on the canvas, in pixels. */
export interface Label {
  body: Body;
  x: number;
  y: number;
  near: boolean;
}

const LABEL_HEIGHT_PX = 16;
const LABEL_CHAR_PX = 6.5;
const LABEL_CHARS_MAX = 22;

/** The labels without those that would cover one before them. */
export function apart(labels: readonly Label[]): Label[] {
  const kept: Label[] = [];
  for (const label of labels) if (!kept.some((each) => covers(each, label))) kept.push(label);
  return kept;
}

function covers(one: Label, other: Label): boolean {
  const [left, right] = one.x <= other.x ? [one, other] : [other, one];
  const width = Math.min(left.body.name.length, LABEL_CHARS_MAX) * LABEL_CHAR_PX;
  return right.x - left.x < width && Math.abs(one.y - other.y) < LABEL_HEIGHT_PX;
}

export const BODIES_MAX = 20_000;
const GOLDEN = Math.PI * (3 - Math.sqrt(5));
const SPACING = 17;
const ORBITS_MAX = 6.5;
const INNER = 26;

export function galaxyOf(
  workflows: readonly MapWorkflow[],
  activity: ReadonlyMap<string, Activity>,
): Galaxy {
  const sorted = workflows.toSorted(
    (left, right) =>
      (activity.get(right.workflow)?.started ?? 0) - (activity.get(left.workflow)?.started ?? 0) ||
      left.workflow.localeCompare(right.workflow),
  );
  const builder = new Builder();
  const shared = sharedTypes(sorted);
  for (const [place, type] of [...shared].entries()) builder.star(type, place, shared.size);
  for (const [place, workflow] of sorted.entries()) {
    builder.system(workflow, place, activity, shared);
  }
  builder.services(sorted);
  return builder.galaxy();
}

/** Task types of workers that several workflows use. */
function sharedTypes(workflows: readonly MapWorkflow[]): Set<string> {
  const users = new Map<string, Set<string>>();
  for (const { workflow, tasks } of workflows) {
    for (const { type, service } of tasks) {
      if (!service?.startsWith("workers of ")) continue;
      users.set(type, (users.get(type) ?? new Set()).add(workflow));
    }
  }
  return new Set([...users].filter(([, each]) => each.size > 1).map(([type]) => type));
}

export const sunId = (workflow: string) => `sun ${workflow}`;
export const planetId = (workflow: string, task: string) => `planet ${workflow}/${task}`;
const starId = (type: string) => `star ${type}`;
const serviceId = (name: string) => `service ${name}`;

class Builder {
  readonly #bodies: Body[] = [];
  readonly #edges: [number, number][] = [];
  readonly #index = new Map<string, number>();
  readonly #after = new Map<number, number[]>();
  #radius = INNER;
  #capped = false;

  star(type: string, place: number, total: number): void {
    const angle = (place / total) * 2 * Math.PI;
    const far = total === 1 ? 0 : 6 + Math.min(8, total / 4);
    const height = (hash(type) - 0.5) * 5;
    const at = { x: far * Math.cos(angle), y: height, z: far * Math.sin(angle) };
    this.#add({ id: starId(type), kind: "star", name: type, workflow: "", size: 1.5, ...at });
  }

  system(
    source: MapWorkflow,
    place: number,
    activity: ReadonlyMap<string, Activity>,
    shared: ReadonlySet<string>,
  ): void {
    const name = source.workflow;
    const found = activity.get(name);
    const far = INNER + SPACING * Math.sqrt(place + 0.4);
    const angle = place * GOLDEN;
    const ended = (found?.completed ?? 0) + (found?.failed ?? 0);
    const sun = this.#add({
      id: sunId(name),
      kind: "sun",
      name,
      workflow: name,
      x: far * Math.cos(angle),
      y: (hash(name) - 0.5) * 12,
      z: far * Math.sin(angle),
      size: 1.5 + Math.min(1.6, Math.log10(1 + (found?.started ?? 0)) * 0.6),
      success: ended && found ? found.completed / ended : undefined,
    });
    this.#radius = Math.max(this.#radius, far + ORBITS_MAX);
    this.#planets(source, sun, shared);
  }

  #planets(source: MapWorkflow, sun: number, shared: ReadonlySet<string>): void {
    const room = BODIES_MAX - this.#bodies.length;
    const tasks = source.tasks.slice(0, Math.max(0, room));
    this.#capped ||= source.tasksCapped || tasks.length < source.tasks.length;
    const pairs = source.edges as [number, number][];
    const edges = pairs
      .filter(([from, to]) => from < tasks.length && to < tasks.length)
      .map(([from, to]) => ({ from, to }));
    const rank = ranks({ count: tasks.length, edges });
    const deepest = rank.reduce((most, each) => Math.max(most, each), 0);
    const inRank = new Map<number, number>();
    const totals = new Map<number, number>();
    for (const each of rank) totals.set(each, (totals.get(each) ?? 0) + 1);
    const centre = this.#bodies[sun] as Body;
    const stars = new Set<number>();
    const tilt = (hash(`${centre.name} tilt`) - 0.5) * 0.9;
    const planets = tasks.map((task, place) => {
      const level = rank[place] ?? 0;
      const nth = inRank.get(level) ?? 0;
      inRank.set(level, nth + 1);
      const step = Math.min(1.1, (ORBITS_MAX - centre.size - 1) / Math.max(1, deepest + 1));
      const far = centre.size + 1 + (level + 1) * step * 0.95;
      const angle = (nth / (totals.get(level) ?? 1)) * 2 * Math.PI + level * 0.7;
      const planet = this.#add({
        id: planetId(source.workflow, task.id),
        kind: "planet",
        name: task.id,
        workflow: source.workflow,
        x: centre.x + far * Math.cos(angle),
        y: centre.y + far * Math.sin(angle) * Math.sin(tilt),
        z: centre.z + far * Math.sin(angle) * Math.cos(tilt),
        size: 0.42,
      });
      const star = shared.has(task.type) ? this.#index.get(starId(task.type)) : undefined;
      if (star !== undefined && !stars.has(star)) {
        stars.add(star);
        this.#edges.push([star, sun]);
      }
      if (level === 0) this.#edges.push([sun, planet]);
      return planet;
    });
    for (const { from, to } of edges) {
      const [start, end] = [planets[from] as number, planets[to] as number];
      this.#edges.push([start, end]);
      this.#after.set(start, [...(this.#after.get(start) ?? []), end]);
    }
  }

  services(workflows: readonly MapWorkflow[]): void {
    const names = [...new Set(workflows.flatMap((each) => each.services))]
      .filter((name) => !name.startsWith("workers of "))
      .sort();
    const far = this.#radius + 10;
    names.forEach((name, place) => {
      const angle = (place / names.length) * 2 * Math.PI;
      const at = { x: far * Math.cos(angle), y: 0, z: far * Math.sin(angle) };
      this.#add({ id: serviceId(name), kind: "service", name, workflow: "", size: 1.3, ...at });
    });
    if (names.length > 0) this.#radius = far + 2;
    for (const workflow of workflows) {
      const sun = this.#index.get(sunId(workflow.workflow));
      for (const name of workflow.services) {
        const service = this.#index.get(serviceId(name));
        if (sun !== undefined && service !== undefined) this.#edges.push([sun, service]);
      }
    }
  }

  galaxy(): Galaxy {
    return {
      bodies: this.#bodies,
      edges: this.#edges,
      index: this.#index,
      after: this.#after,
      radius: this.#radius,
      capped: this.#capped,
    };
  }

  #add(body: Body): number {
    this.#index.set(body.id, this.#bodies.length);
    this.#bodies.push(body);
    return this.#bodies.length - 1;
  }
}

/** A number from 0 to 1 that a text always has. */
function hash(text: string): number {
  let value = 2_166_136_261;
  for (let place = 0; place < text.length; place += 1) {
    value = Math.imul(value ^ text.charCodeAt(place), 16_777_619);
  }
  return (value >>> 0) / 4_294_967_296;
}
