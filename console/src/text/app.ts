/** The modules, routes and pipelines in the text of an application, each with its place. */

import { valueAt } from "./edits";
import type { Path, Place, Source } from "./source";
import type { Joined, Position } from "./workflow";

type Json = Record<string, unknown>;

export interface AppModule extends Joined {
  type: string;
  config: Json;
  value: Json;
  place: Place;
}

export interface AppRoute {
  /** The place as a text: routes need not differ otherwise. */
  id: string;
  method: string;
  path: string;
  handler: string;
  middlewares: readonly string[];
  /** The module whose configuration has the route; empty for those of workflows. */
  owner: string;
  /** Its steps; nothing if it has no pipeline. */
  steps: Place | undefined;
  value: Json;
  place: Place;
}

export interface AppPipeline {
  id: string;
  steps: Place;
  place: Place;
}

export interface AppStep {
  /** Its name, or its number where it has none. */
  id: string;
  type: string;
  config: Json;
  value: Json;
  place: Place;
  /** Steps that it may continue with instead of the next one. */
  jumps: readonly string[];
}

export interface App {
  name: string;
  value: Json;
  modules: readonly AppModule[];
  routes: readonly AppRoute[];
  pipelines: readonly AppPipeline[];
}

/** The top-level member with the positions of moved modules; the host does not read it. */
export const UI_LAYOUT = ["ui", "layout"] as const;
/** Keys of configurations that name modules, by type. */
export type Naming = (type: string) => readonly string[];

function object(value: unknown): Json {
  return value !== null && typeof value === "object" && !Array.isArray(value)
    ? (value as Json)
    : {};
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function texts(value: unknown): string[] {
  return list(value).filter((each): each is string => typeof each === "string");
}

/** The application of a text; nothing if the text is no object. */
export function appOf(source: Source, naming: Naming): App | undefined {
  const value = source.values[0];
  if (value === null || typeof value !== "object" || Array.isArray(value)) return undefined;
  const found = value as Json;
  return {
    name: typeof found.name === "string" ? found.name : "",
    value: found,
    modules: modulesOf(found, naming),
    routes: routesOf(found),
    pipelines: Object.entries(object(found.pipelines)).map(([id]) => ({
      id,
      place: at("pipelines", id),
      steps: at("pipelines", id, "steps"),
    })),
  };
}

function at(...path: Path): Place {
  return { doc: 0, path };
}

function modulesOf(app: Json, naming: Naming): AppModule[] {
  const all = list(app.modules).map(object);
  const ids = new Set(all.map((each) => String(each.name ?? "")));
  return all.flatMap((value, index) => {
    if (typeof value.name !== "string" || !value.name) return [];
    const type = String(value.type ?? "");
    const config = object(value.config);
    const after = texts(value.dependsOn ?? value.depends_on);
    const named = naming(type).flatMap((key) => [config[key]].flat());
    const uses = new Set(texts(named).filter((each) => ids.has(each) && !after.includes(each)));
    uses.delete(value.name);
    return [
      {
        id: value.name,
        type,
        config,
        value,
        place: at("modules", index),
        after: after.map((task) => ({ task, on: undefined })),
        uses: [...uses],
      },
    ];
  });
}

function routesOf(app: Json): AppRoute[] {
  const found: AppRoute[] = [];
  const take = (path: Path, owner: string) => {
    for (const [index, each] of list(valueAt(app, path)).entries()) {
      found.push(routeOf(object(each), at(...path, index), owner));
    }
  };
  const workflows = Array.isArray(app.workflows)
    ? app.workflows.map((each, index) => [String(object(each).type ?? ""), index, each] as const)
    : Object.entries(object(app.workflows)).map(([key, each]) => [key, key, each] as const);
  for (const [kind, key, each] of workflows) {
    if (kind !== "http" && !kind.startsWith("http-")) continue;
    const inner = Array.isArray(app.workflows) && "config" in object(each) ? ["config"] : [];
    take(["workflows", key, ...inner, "routes"], "");
  }
  for (const [index, each] of list(app.modules).map(object).entries()) {
    take(["modules", index, "config", "routes"], String(each.name ?? ""));
  }
  return found;
}

function routeOf(value: Json, place: Place, owner: string): AppRoute {
  const method = [value.methods ?? value.method ?? ""].flat().join(", ");
  const under = (...keys: Path): Place => ({ doc: 0, path: [...place.path, ...keys] });
  const piped = value.pipeline;
  const steps =
    Array.isArray(piped) || typeof piped === "object"
      ? under("pipeline", ...(Array.isArray(piped) ? [] : ["steps"]))
      : value.steps !== undefined
        ? under("steps")
        : undefined;
  return {
    id: place.path.join("."),
    method,
    path: String(value.path ?? ""),
    handler: String(value.handler ?? ""),
    middlewares: texts(value.middlewares),
    owner,
    steps,
    value,
    place,
  };
}

/** The steps of a list; what is no step is left out. */
export function stepsOf(app: App, place: Place): AppStep[] {
  return list(valueAt(app.value, place.path)).flatMap((each, index) => {
    const value = object(each);
    if (typeof value.type !== "string") return [];
    const config = object(value.config);
    const id = typeof value.name === "string" && value.name ? value.name : String(index + 1);
    return [
      {
        id,
        type: value.type,
        config,
        value,
        place: { doc: place.doc, path: [...place.path, index] },
        jumps: jumpsOf(value, config),
      },
    ];
  });
}

function jumpsOf(value: Json, config: Json): string[] {
  const routes = [config.routes, config.cases].flatMap((each) => Object.values(object(each)));
  const errors = texts([value.on_error]).filter((each) => each !== "stop" && each !== "skip");
  return [...new Set([...texts(routes), ...texts([config.default]), ...errors])];
}

/** Where modules were moved to, by name. */
export function appPositions(app: App): Map<string, Position> {
  const found = new Map<string, Position>();
  for (const [name, each] of Object.entries(object(valueAt(app.value, UI_LAYOUT)))) {
    const [x, y] = list(each);
    if (Number.isFinite(x) && Number.isFinite(y)) found.set(name, { x: Number(x), y: Number(y) });
  }
  return found;
}

/** Names of `${NAME}` without a default in a text. */
export function variablesOf(text: string): string[] {
  const found = [...text.matchAll(/(?<!\$)\$\{(?:env:)?([A-Za-z_]\w*)(?::\?[^}]*)?\}/g)];
  return [...new Set(found.map((each) => each[1] ?? ""))];
}
