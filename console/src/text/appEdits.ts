/** Edits of the canvas: modules, routes and steps as changes of the text of an application. */

import { isCollection, isSeq, type Node } from "yaml";
import { type AppModule, UI_LAYOUT } from "./app";
import { append, EditRefused, set, update, valueAt } from "./edits";
import { freeId } from "./operations";
import { endOf, find, type Path, type Place, parsed, startOf } from "./source";
import type { Position } from "./workflow";

type Json = Record<string, unknown>;

const MODULES: Place = { doc: 0, path: ["modules"] };

function below(place: Place, ...keys: Path): Place {
  return { doc: place.doc, path: [...place.path, ...keys] };
}

/** Add a module; its name is made free. Returns the text and the name. */
export function addModule(
  text: string,
  modules: readonly AppModule[],
  wanted: { name: string; type: string; config: Json },
): { text: string; name: string } {
  const name = freeId(modules, wanted.name);
  const config = Object.keys(wanted.config).length > 0 ? { config: wanted.config } : {};
  return { text: append(text, MODULES, { name, type: wanted.type, ...config }), name };
}

function moduleIn(modules: readonly AppModule[], name: string): AppModule {
  const found = modules.find((each) => each.id === name);
  if (!found) throw new EditRefused(`there is no module ${name}`);
  return found;
}

function dependsPlace(module: AppModule): Place {
  const key = "depends_on" in module.value ? "depends_on" : "dependsOn";
  return below(module.place, key);
}

export function connectModules(
  text: string,
  modules: readonly AppModule[],
  from: string,
  to: string,
): string {
  moduleIn(modules, from);
  return append(text, dependsPlace(moduleIn(modules, to)), from);
}

export function disconnectModules(
  text: string,
  modules: readonly AppModule[],
  from: string,
  to: string,
): string {
  const module = moduleIn(modules, to);
  const index = module.after.findIndex((each) => each.task === from);
  if (index < 0) throw new EditRefused(`${to} does not depend on ${from}`);
  const place = dependsPlace(module);
  return set(text, module.after.length === 1 ? place : below(place, index), undefined);
}

/** Remove modules with the edges to them and their positions; what names them else is left. */
export function removeModules(
  text: string,
  modules: readonly AppModule[],
  names: readonly string[],
): string {
  let result = text;
  for (const module of modules) {
    for (const { task } of [...module.after].reverse()) {
      if (names.includes(task) && !names.includes(module.id)) {
        result = disconnectModules(result, modulesIn(result, modules), task, module.id);
      }
    }
  }
  for (const module of [...modules].reverse()) {
    if (names.includes(module.id)) result = set(result, module.place, undefined);
  }
  for (const name of names) {
    const at = { doc: 0, path: [...UI_LAYOUT, name] };
    if (valueAt(parsed(result).values[0], at.path) !== undefined)
      result = set(result, at, undefined);
  }
  return result;
}

/** The modules with the edges that a text has. */
function modulesIn(text: string, modules: readonly AppModule[]): AppModule[] {
  const value = parsed(text).values[0];
  return modules.map((each) => {
    const now = (valueAt(value, each.place.path) ?? {}) as Json;
    const names = (now.dependsOn ?? now.depends_on ?? []) as unknown[];
    const after = names.map((task) => ({ task: String(task), on: undefined }));
    return { ...each, value: now, after };
  });
}

/** Give a module another name, with all edges, routes and positions that name it. */
export function renameModule(
  text: string,
  modules: readonly AppModule[],
  from: string,
  to: string,
  naming: (type: string) => readonly string[],
): string {
  if (!to || to.length > 128) throw new EditRefused("a name has 1 to 128 characters");
  if (modules.some((each) => each.id === to)) throw new EditRefused(`${to} is another module`);
  const before = parsed(text).values[0];
  return update(text, { doc: 0, path: [] }, before, renamed(before, { from, to, naming }));
}

interface Renaming {
  from: string;
  to: string;
  naming: (type: string) => readonly string[];
}

/** Members outside of modules that name a module. */
const NAMING = ["handler", "middlewares", "database", "broker", "router", "server"];

function renamed(app: unknown, { from, to, naming }: Renaming): unknown {
  const word = (value: unknown) => (value === from ? to : value);
  const words = (value: unknown) => (Array.isArray(value) ? value.map(word) : word(value));
  const members = (value: unknown, keys: readonly string[]): unknown => {
    if (Array.isArray(value)) return value.map((each) => members(each, keys));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [
        key,
        keys.includes(key) ? words(each) : members(each, keys),
      ]),
    );
  };
  const module = (value: unknown): unknown => {
    const found = value as Json;
    const keys = [...naming(String(found.type ?? "")), ...NAMING];
    const made = members(found, [...keys, "dependsOn", "depends_on"]) as Json;
    return found.name === from ? { ...made, name: to } : made;
  };
  const { modules, ui, ...rest } = app as Json;
  const layout = (valueAt({ ui }, UI_LAYOUT) ?? {}) as Json;
  const moved = Object.fromEntries(
    Object.entries(layout).map(([key, each]) => [key === from ? to : key, each]),
  );
  return {
    ...(members(rest, NAMING) as Json),
    ...(Array.isArray(modules) ? { modules: modules.map(module) } : {}),
    ...(ui === undefined ? {} : { ui: from in layout ? { ...(ui as Json), layout: moved } : ui }),
  };
}

/** Keep the positions of modules, in whole pixels. */
export function placeModules(text: string, positions: ReadonlyMap<string, Position>): string {
  let result = text;
  for (const [name, { x, y }] of positions) {
    const place = { doc: 0, path: [...UI_LAYOUT, name] };
    result = set(result, place, [Math.round(x), Math.round(y)]);
  }
  return result;
}

/** Remove all positions, so that the layout is made anew. */
export function forgetPlaces(text: string): string {
  const value = parsed(text).values[0] as Json;
  const ui = value?.ui as Json | undefined;
  if (!ui || !("layout" in ui)) return text;
  const alone = Object.keys(ui).length === 1;
  return set(text, { doc: 0, path: alone ? ["ui"] : [...UI_LAYOUT] }, undefined);
}

const ROUTES: Place = { doc: 0, path: ["workflows", "http", "routes"] };

/** Add a route to the workflow of HTTP. */
export function addRoute(text: string, route: Json): string {
  const value = parsed(text).values[0] as Json;
  const workflows = value?.workflows;
  if (!Array.isArray(workflows)) return append(text, ROUTES, route);
  const index = workflows.findIndex((each) => (each as Json)?.type === "http");
  if (index < 0) throw new EditRefused("workflows is a list without one of the type http");
  const inner = "config" in (workflows[index] as Json) ? ["config"] : [];
  return append(text, { doc: 0, path: ["workflows", index, ...inner, "routes"] }, route);
}

/** Add a step at the end of a list, or behind another one. */
export function addStep(text: string, steps: Place, step: Json, index?: number): string {
  const added = append(text, steps, step);
  const count = lengthOf(text, steps);
  return index === undefined || index >= count ? added : moveItem(added, steps, count, index);
}

function lengthOf(text: string, place: Place): number {
  const found = valueAt(parsed(text).values[place.doc], place.path);
  return Array.isArray(found) ? found.length : 0;
}

/** Move an item of a list to another place, with its comments. */
export function moveItem(text: string, place: Place, from: number, to: number): string {
  const source = parsed(text);
  const before = valueAt(source.values[place.doc], place.path);
  if (!Array.isArray(before) || from === to) return text;
  if (from < 0 || to < 0 || from >= before.length || to >= before.length) return text;
  const order = before.map((_, index) => index);
  order.splice(to, 0, ...order.splice(from, 1));
  const wanted = order.map((index) => before[index] as unknown);
  const node = find(source, place)?.node;
  const made = isSeq(node) && !node.flow ? permuted(text, node.items as Node[], order) : undefined;
  if (made !== undefined) {
    const result = parsed(made);
    const now = valueAt(result.values[place.doc], place.path);
    if (result.faults.length === 0 && JSON.stringify(now) === JSON.stringify(wanted)) return made;
  }
  const plain = before.every((each) => each === null || typeof each !== "object");
  return plain && !isFlow(node) ? update(text, place, before, wanted) : set(text, place, wanted);
}

function isFlow(node: Node | null | undefined): boolean {
  return isCollection(node) && !!node.flow;
}

/** The text with the lines of items in another order. */
function permuted(text: string, items: readonly Node[], order: readonly number[]) {
  const first = items[0];
  if (!first) return undefined;
  const dash = text.lastIndexOf("-", startOf(first) - 1);
  const begin = text.lastIndexOf("\n", dash) + 1;
  if (!/^\s*$/.test(text.slice(begin, dash))) return undefined;
  const bounds = [begin];
  for (const item of items) {
    const end = text.indexOf("\n", endOf(text, item, startOf(item)));
    bounds.push(end < 0 ? text.length : end + 1);
  }
  const lines = items.map((_, index) => {
    const part = text.slice(bounds[index], bounds[index + 1]);
    return part.endsWith("\n") ? part : `${part}\n`;
  });
  const end = bounds.at(-1) as number;
  const joined = order.map((index) => lines[index]).join("");
  const whole = text.slice(0, begin) + joined + text.slice(end);
  return text.endsWith("\n") ? whole : whole.replace(/\n$/, "");
}
