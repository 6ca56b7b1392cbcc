/** Small changes of a text: one range for a member that is set, added or removed. */

import {
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  type YAMLMap,
} from "yaml";
import { endOf, find, type Place, type Source, startOf } from "./source";
import { block, flow, indented, name, scalar, spread } from "./write";

interface Owner {
  node: Node | null;
  /** The number of keys of the path that exist. */
  depth: number;
}

/** The deepest node on the way to a place. */
function deepest(source: Source, { doc, path }: Place): Owner {
  for (let depth = path.length; depth > 0; depth -= 1) {
    const found = find(source, { doc, path: path.slice(0, depth) });
    if (found) return { node: found.node, depth };
  }
  return { node: (source.documents[doc]?.contents ?? null) as Node | null, depth: 0 };
}

export function put(source: Source, place: Place, value: unknown): string | undefined {
  const { node, depth } = deepest(source, place);
  if (isAlias(node)) return undefined;
  const { path } = place;
  if (depth < path.length) {
    const rest = path.slice(depth + 1);
    const inner = rest.reduceRight<unknown>((each, key) => ({ [key]: each }), value);
    const key = path[depth] as string | number;
    if (isMap(node) && node.items.length > 0) return member(source, node, String(key), inner);
    if (isSeq(node) && node.items.length > 0) return item(source, node as never, inner);
    const at = { doc: place.doc, path: path.slice(0, depth) };
    return replaced(source, at, typeof key === "number" ? [inner] : { [key]: inner });
  }
  return replaced(source, place, value);
}

export function splice(text: string, from: number, to: number, insert: string): string {
  return text.slice(0, from) + insert + text.slice(to);
}

export function columnOf(text: string, offset: number): number {
  return offset - (text.lastIndexOf("\n", offset - 1) + 1);
}

/** The dash before an item of a list, which may begin with one of its own. */
function dashOf(text: string, item: number): number {
  return text.lastIndexOf("-", item - 1);
}

/** Whether the characters before an offset on its line are blank. */
function leads(text: string, offset: number): boolean {
  return /^\s*$/.test(text.slice(text.lastIndexOf("\n", offset - 1) + 1, offset));
}

/** The offset after the line that holds an offset. */
function lineEnd(text: string, offset: number): number {
  const end = text.indexOf("\n", offset);
  return end < 0 ? text.length : end + 1;
}

/** Insert whole lines at an offset that follows a line. */
function insertLines(text: string, at: number, lines: string): string {
  const begun = at > 0 && text[at - 1] !== "\n" ? "\n" : "";
  return splice(text, at, at, `${begun}${lines}\n`);
}

function member(source: Source, map: YAMLMap, key: string, value: unknown): string {
  const { text, json } = source;
  const first = startOf((map.items[0] as Pair).key as Node);
  const end = endOf(text, map, startOf(map));
  const column = columnOf(text, first);
  if (!map.flow) {
    const lines = indented(block({ [key]: value }), column);
    return insertLines(text, lineEnd(text, end), " ".repeat(column) + lines);
  }
  const last = map.items.at(-1) as Pair<Node, Node | null>;
  const label = `${json ? JSON.stringify(key) : name(key)}: `;
  return added(source, startOf(map), first, endOf(text, last.value, last.key.range?.[1] ?? end), {
    lines: (columns) => label + (json ? spread(value, columns) : flow(value, json)),
    line: label + flow(value, json),
  });
}

function item(source: Source, list: { items: Node[]; flow?: boolean } & Node, value: unknown) {
  const { text, json } = source;
  const first = startOf(list.items[0] as Node);
  const last = endOf(text, list.items.at(-1) as Node, first);
  if (list.flow) {
    return added(source, startOf(list), first, last, {
      lines: (columns) => (json ? spread(value, columns) : flow(value, json)),
      line: flow(value, json),
    });
  }
  const dash = dashOf(text, first);
  const column = columnOf(text, dash);
  const gap = first - dash;
  const lines = indented(block(value), column + gap);
  const lead = `${" ".repeat(column)}-${" ".repeat(gap - 1)}`;
  return insertLines(text, lineEnd(text, last), lead + lines);
}

/**
 * The last two items of a list as a text of their own, if one more item is all that another text
 * has; nothing where directives may give them another meaning.
 */
export function grownList(source: Source, list: Place, made: string): string | undefined {
  const { text } = source;
  const node = find(source, list)?.node;
  if (!isSeq(node) || /^%/m.test(text)) return undefined;
  const item = node.items.at(-1) as Node;
  const [first, last] = [startOf(item), endOf(text, item, startOf(item))];
  const at = node.flow ? last : lineEnd(text, last);
  const end = at + made.length - text.length;
  if (made.slice(0, at) !== text.slice(0, at) || made.slice(end) !== text.slice(at)) {
    return undefined;
  }
  if (node.flow) return `[${made.slice(first, end)}]`;
  const dash = dashOf(text, first);
  // Blank lines behind may belong to a block scalar.
  const blank = /^(?:[ \t]*\r?\n)*/.exec(made.slice(end))?.[0].length ?? 0;
  return " ".repeat(columnOf(text, dash)) + made.slice(dash, end + blank);
}

interface Added {
  lines: (columns: number) => string;
  line: string;
}

/** Add a part after the last one within braces or brackets, on a line of its own if they are. */
function added(source: Source, open: number, first: number, last: number, part: Added): string {
  const { text } = source;
  if (!text.slice(open, first).includes("\n")) return splice(text, last, last, `, ${part.line}`);
  const column = columnOf(text, first);
  return splice(text, last, last, `,\n${" ".repeat(column)}${part.lines(column)}`);
}

/** Whether a place lies within braces or brackets. */
function inFlow(source: Source, { doc, path }: Place): boolean {
  return path.some((_, depth) => {
    const node = find(source, { doc, path: path.slice(0, depth) })?.node;
    return isCollection(node) && !!node.flow;
  });
}

function replaced(source: Source, place: Place, value: unknown): string | undefined {
  const { text, json } = source;
  const found = find(source, place);
  if (!found) return undefined;
  const { node, pair } = found;
  const plain = value === null || typeof value !== "object";
  const owner = pair?.key as Node | undefined;
  if (inFlow(source, place)) {
    if (!node) return undefined;
    const column = columnOf(text, owner ? startOf(owner) : startOf(node));
    const long = json && text.slice(startOf(node), endOf(text, node, 0)).includes("\n");
    const kept = typeof value === "string" && !value.includes("\n") && isQuoted(node) && !json;
    const plainly = long ? spread(value, column) : flow(value, json);
    const made = kept ? scalar(value, node) : plainly;
    return splice(text, startOf(node), endOf(text, node, startOf(node)), made);
  }
  if (json && node) {
    return splice(text, startOf(node), endOf(text, node, 0), spread(value, 0));
  }
  const inline = plain && !(typeof value === "string" && value.includes("\n"));
  const block_ = isCollection(node) && !node.flow && node.items.length > 0;
  if (inline && node && !block_) {
    const tight = endOf(text, node, startOf(node));
    if (startOf(node) < tight) {
      return splice(text, startOf(node), tight, scalar(value, node));
    }
  }
  if (isCollection(node) && node.flow && Array.isArray(value)) {
    return splice(text, startOf(node), endOf(text, node, 0), flow(value, json));
  }
  if (owner) {
    const from = startOf(owner);
    const to = endOf(text, node, owner.range?.[1] ?? from);
    const key = text.slice(from, owner.range?.[1] ?? from);
    const lines = block({ k: value }).slice(1);
    const colon = node === null || startOf(node) === to ? afterColon(text, owner, to) : to;
    return splice(text, from, colon, key + indented(lines, columnOf(text, from)));
  }
  if (!node) return undefined;
  const from = startOf(node);
  return splice(text, from, endOf(text, node, from), indented(block(value), columnOf(text, from)));
}

function isQuoted(node: Node): boolean {
  return isScalar(node) && !!node.type?.startsWith("QUOTE");
}

/** The end of `key:` of a member without a value. */
function afterColon(text: string, key: Node, otherwise: number): number {
  const colon = text.indexOf(":", key.range?.[1] ?? otherwise);
  return colon < 0 ? otherwise : Math.max(otherwise, colon + 1);
}

export function removed(source: Source, place: Place): string | undefined {
  const { text } = source;
  const { doc, path } = place;
  const owner = find(source, { doc, path: path.slice(0, -1) })?.node;
  const found = find(source, place);
  if (!found || !isCollection(owner)) return undefined;
  const items = owner.items as (Node | Pair<Node, Node | null>)[];
  if (items.length === 1) {
    return replaced(source, { doc, path: path.slice(0, -1) }, isSeq(owner) ? [] : {});
  }
  const starts = items.map((each) =>
    startOf(isMap(owner) ? ((each as Pair).key as Node) : (each as Node)),
  );
  const ends = items.map((each, place_) => {
    const pair = each as Pair<Node, Node | null>;
    if (!isMap(owner)) return endOf(text, each as Node, starts[place_] ?? 0);
    return endOf(text, pair.value, pair.key.range?.[1] ?? 0);
  });
  const index = items.indexOf((found.pair ?? found.node) as Node);
  const [from, to] = [starts[index] as number, ends[index] as number];
  if (owner.flow) {
    if (index > 0) return splice(text, ends[index - 1] as number, to, "");
    return splice(text, from, starts[1] as number, "");
  }
  const start = isSeq(owner) ? dashOf(text, from) : from;
  if (leads(text, start)) return splice(text, start - columnOf(text, start), lineEnd(text, to), "");
  const next = starts[index + 1];
  if (next === undefined) return undefined;
  const begins = isSeq(owner) ? dashOf(text, next) : next;
  return splice(text, start, begins, "");
}
