/**
 * Edits of members of a definition as changes of its text. All other characters stay: comments,
 * order, quoting. Each edit is checked by reading its result; one that cannot be made as a small
 * change is made through the tree, which keeps comments and order, or refused.
 */

import { find, keepValues, type Path, type Place, parsed, parsedAnew, type Source } from "./source";
import { grownList, put, removed, splice } from "./splices";
import { block, scalar } from "./write";

/** An edit that the text does not allow, in a sentence. */
export class EditRefused extends Error {}

/** Set the value at a place; `undefined` removes it. Missing objects on the way are made. */
export function set(text: string, place: Place, value: unknown): string {
  const source = parsed(text);
  if (source.faults.length > 0) throw new EditRefused("the text has a fault of syntax");
  const wanted = written(source.values[place.doc], place.path, value);
  if (same(source.values[place.doc], wanted)) return text;
  const withDocument = (next: unknown) =>
    source.values.map((each, doc) => (doc === place.doc ? next : each));
  const values = withDocument(wanted);
  for (const made of attempts(source, place, value)) {
    const item = addedItem(source, place, made);
    if (item !== undefined && same(item, value)) {
      const next = written(source.values[place.doc], place.path, item);
      keepValues(made, source, withDocument(next));
      return made;
    }
    const result = parsed(made);
    if (result.faults.length === 0 && same(result.values, values)) return made;
  }
  throw new EditRefused(`this part of the text cannot be changed here: ${place.path.join(".")}`);
}

/** Apply the difference of two values member by member, so that the rest keeps its form. */
export function update(text: string, place: Place, before: unknown, after: unknown): string {
  if (same(before, after)) return text;
  if (isObject(before) && isObject(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    let result = text;
    for (const key of keys) {
      const at = { doc: place.doc, path: [...place.path, key] };
      result = update(result, at, before[key], after[key]);
    }
    return result;
  }
  if (Array.isArray(before) && Array.isArray(after) && before.length === after.length) {
    return after.reduce<string>(
      (result, each, index) =>
        update(result, { doc: place.doc, path: [...place.path, index] }, before[index], each),
      text,
    );
  }
  return set(text, place, after);
}

/** Give a member another name; its value stays as it is. */
export function renamedMember(text: string, owner: Place, from: string, to: string): string {
  const found = find(parsed(text), { doc: owner.doc, path: [...owner.path, from] });
  const range = found?.pair?.key.range;
  if (!range) throw new EditRefused(`there is no member ${from}`);
  return splice(text, range[0], range[1], scalar(to, found.pair?.key ?? null));
}

/** Add an item at the end of a list. */
export function append(text: string, place: Place, item: unknown): string {
  const list = valueAt(parsed(text).values[place.doc], place.path);
  if (!Array.isArray(list) || list.length === 0) return set(text, place, [item]);
  return set(text, { doc: place.doc, path: [...place.path, list.length] }, item);
}

/** Add a document at the end of a YAML text. */
export function appendDocument(text: string, value: unknown): string {
  const source = parsed(text);
  if (source.json) throw new EditRefused("a JSON text has one document; convert it to YAML");
  return `${text.trimEnd()}\n---\n${block(value)}\n`;
}

export function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((each, key) => (each as Record<string, unknown>)?.[key], value);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function same(left: unknown, right: unknown): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}

/** The value after the edit; the model that a changed text is compared with. */
function written(value: unknown, path: Path, next: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return next;
  if (Array.isArray(value)) {
    const items = [...value];
    const inner = rest.length === 0 ? next : written(items[Number(key)], rest, next);
    if (inner === undefined) items.splice(Number(key), 1);
    else items[Number(key)] = inner;
    return items;
  }
  const owner = isObject(value) ? value : {};
  const inner = rest.length === 0 ? next : written(owner[key], rest, next);
  if (inner !== undefined) return { ...owner, [key]: inner };
  const { [key]: _, ...others } = owner;
  return others;
}

function* attempts(source: Source, place: Place, value: unknown): Generator<string> {
  const small = value === undefined ? removed(source, place) : put(source, place, value);
  if (small !== undefined) yield small;
  const whole = source.json ? undefined : throughTree(source.text, place, value);
  if (whole !== undefined) yield whole;
}

/**
 * The item by which a list of a changed text is longer, read with the item before it alone: they
 * are all that the edit can have changed, and a long text takes too long to be read for each.
 */
function addedItem(source: Source, place: Place, made: string): unknown {
  const at = { doc: place.doc, path: place.path.slice(0, -1) };
  const list = valueAt(source.values[at.doc], at.path);
  if (!Array.isArray(list) || list.length === 0 || place.path.at(-1) !== list.length)
    return undefined;
  const part = grownList(source, at, made);
  if (part === undefined) return undefined;
  const { values } = parsedAnew(part);
  const [before, item, ...others] = Array.isArray(values[0]) ? values[0] : [];
  return values.length === 1 && others.length === 0 && same(before, list.at(-1)) ? item : undefined;
}

/** The edit through the tree: all documents are written anew, with their comments and order. */
function throughTree(text: string, place: Place, value: unknown): string | undefined {
  const { documents } = parsedAnew(text);
  const document = documents[place.doc];
  if (!document) return undefined;
  try {
    if (value === undefined) document.deleteIn(place.path);
    else document.setIn(place.path, document.createNode(value));
  } catch {
    // The tree does not permit it, such as below an alias.
    return undefined;
  }
  return documents.map((each) => String(each).replace(/^---\n/, "")).join("---\n");
}
