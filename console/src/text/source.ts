/** The text of definitions as a tree with places: YAML of one or several documents, or JSON. */

import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseAllDocuments,
} from "yaml";

export type Path = readonly (string | number)[];

/** A place in a text: the number of the document and the path within it. */
export interface Place {
  doc: number;
  path: Path;
}

export interface Fault {
  message: string;
  from: number;
  to: number;
  line: number;
  column: number;
}

export interface Source {
  readonly text: string;
  readonly json: boolean;
  /** The trees; those of a text whose values were known before are parsed when first asked for. */
  readonly documents: readonly Document.Parsed[];
  /** Faults of the syntax; the text has values only without them. */
  readonly faults: readonly Fault[];
  readonly values: readonly unknown[];
}

/** Aliases that a text may expand to; more are refused, as by the server. */
const ALIASES_MAX = 1_000;

const KEPT_MAX = 4;
const kept = new Map<string, Source>();

/** The tree of a text. It is shared by its readers, which do not change it. */
export function parsed(text: string): Source {
  const known = kept.get(text);
  if (known) return known;
  return keep(parsedAnew(text));
}

function keep(source: Source): Source {
  if (kept.size >= KEPT_MAX) kept.delete(kept.keys().next().value as string);
  kept.set(source.text, source);
  return source;
}

/** Keep the values of a text that an edit made of them; its trees wait until they are needed. */
export function keepValues(text: string, { json }: Source, values: readonly unknown[]): void {
  let documents: Source["documents"] | undefined;
  keep({
    text,
    json,
    faults: [],
    values,
    get documents() {
      documents ??= parsedAnew(text).documents;
      return documents;
    },
  });
}

/** Trees of the reader's own. */
export function parsedAnew(text: string): Source {
  const lines = new LineCounter();
  const found = parseAllDocuments(text, { lineCounter: lines });
  const documents = Array.isArray(found) ? (found as Document.Parsed[]) : [];
  const faults = documents.flatMap((document) =>
    document.errors.map((error) => {
      const { line, col } = lines.linePos(error.pos[0]);
      const message = error.message.replace(/ at line \d+[\s\S]*$/, "");
      return { message, from: error.pos[0], to: error.pos[1], line, column: col };
    }),
  );
  const source = { text, json: /^\s*[{[]/.test(text), documents, faults, values: [] };
  return faults.length > 0 ? source : { ...source, ...valuesOf(documents) };
}

function valuesOf(documents: Document.Parsed[]): { values: unknown[]; faults: Fault[] } {
  try {
    const values = documents.map((each) => each.toJS({ maxAliasCount: ALIASES_MAX }) as unknown);
    return { values, faults: [] };
  } catch (raised) {
    const message = raised instanceof Error ? raised.message : String(raised);
    return { values: [], faults: [{ message, from: 0, to: 0, line: 1, column: 1 }] };
  }
}

export interface Found {
  node: Node | null;
  pair: Pair<Node, Node | null> | undefined;
}

/** The node at a place, with its pair if it is a member of a map. */
export function find(source: Source, { doc, path }: Place): Found | undefined {
  let node = (source.documents[doc]?.contents ?? null) as Node | null;
  let pair: Found["pair"];
  for (const key of path) {
    const step = inside(node, key);
    if (!step) return undefined;
    ({ node, pair } = step);
  }
  return { node, pair };
}

/** A member of a map or an item of a list. */
export function inside(node: Node | null, key: string | number): Found | undefined {
  if (isMap(node)) {
    const pair = node.items.find((each) => keyOf(each as Pair) === String(key));
    return pair && { node: pair.value as Node | null, pair: pair as Pair<Node, Node | null> };
  }
  if (isSeq(node) && typeof key === "number" && key < node.items.length) {
    return { node: node.items[key] as Node | null, pair: undefined };
  }
  return undefined;
}

export function keyOf(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
}

/** Where a node begins. */
export function startOf(node: Node): number {
  return node.range?.[0] ?? 0;
}

/** The end of the last character that belongs to a node, without comments and line ends. */
export function endOf(text: string, node: Node | null, otherwise: number): number {
  if (node === null) return otherwise;
  const end = node.range?.[1] ?? otherwise;
  if (isAlias(node)) return end;
  if (isScalar(node)) {
    return node.type?.startsWith("BLOCK") ? trimmed(text, startOf(node), end) : end;
  }
  if (!isCollection(node) || node.flow || node.items.length === 0) return end;
  const last = node.items.at(-1) as Node | Pair;
  if (isMap(node)) {
    const { key, value } = last as Pair<Node, Node | null>;
    return endOf(text, value, key.range?.[1] ?? end);
  }
  return endOf(text, last as Node, end);
}

function trimmed(text: string, from: number, end: number): number {
  let at = end;
  while (at > from && (text[at - 1] === "\n" || text[at - 1] === "\r")) at -= 1;
  return at;
}

/** The range of a task or member, from its start to the end of its last character. */
export function rangeOf(source: Source, place: Place): { from: number; to: number } | undefined {
  const found = find(source, place);
  if (!found) return undefined;
  const first = found.pair?.key ?? found.node;
  if (!first) return undefined;
  const from = startOf(first);
  return { from, to: endOf(source.text, found.node, first.range?.[1] ?? from) };
}

/** The place of the innermost member that holds an offset. */
export function placeAt(source: Source, offset: number): Place | undefined {
  for (const [doc, document] of source.documents.entries()) {
    const [from, , to] = document.range;
    if (offset < from || offset > to) continue;
    return { doc, path: pathAt(source.text, document.contents as Node | null, offset) };
  }
  return undefined;
}

function pathAt(text: string, node: Node | null, offset: number): (string | number)[] {
  if (!isCollection(node)) return [];
  for (const [place, item] of node.items.entries()) {
    const pair = isMap(node) ? (item as Pair<Node, Node | null>) : undefined;
    const value = (pair ? pair.value : item) as Node | null;
    const from = startOf((pair ? pair.key : item) as Node);
    const to = endOf(text, value, (pair?.key ?? (item as Node)).range?.[1] ?? from);
    if (offset < from || offset > to) continue;
    return [pair ? keyOf(pair as Pair) : place, ...pathAt(text, value, offset)];
  }
  return [];
}
