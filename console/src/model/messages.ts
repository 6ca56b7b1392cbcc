/**
 * Texts of the pages from the catalog `messages/en.ts`, in a subset of ICU MessageFormat:
 * `{name}` is a value, `{count, plural, one {# event} other {# events}}` a choice by its number.
 */

import type { access } from "../../messages/access";
import type { agents } from "../../messages/agents";
import type { apps } from "../../messages/apps";
import type { builder } from "../../messages/builder";
import type { cells } from "../../messages/cells";
import { en } from "../../messages/en";
import type { numbers } from "../../messages/numbers";
import type { observe } from "../../messages/observe";
import type { pages } from "../../messages/pages";
import type { plugins } from "../../messages/plugins";
import type { projects } from "../../messages/projects";
import type { records } from "../../messages/records";
import type { styleguide } from "../../messages/styleguide";

type Catalog = typeof en &
  typeof access &
  typeof agents &
  typeof apps &
  typeof builder &
  typeof cells &
  typeof numbers &
  typeof observe &
  typeof pages &
  typeof plugins &
  typeof projects &
  typeof records &
  typeof styleguide;
export type MessageKey = keyof Catalog;
export type MessageValues = Readonly<Record<string, string | number>>;

const rules = new Intl.PluralRules("en");
const format = new Intl.NumberFormat("en");

/** Texts by key; those of pages that are loaded later are added by `teach`. */
const texts: Partial<Record<MessageKey, string>> = { ...en };

/** Add the texts of a page. */
export function teach(catalog: Partial<Record<MessageKey, string>>): void {
  Object.assign(texts, catalog);
}

/** The text of a message with its values. */
export function say(key: MessageKey, values: MessageValues = {}): string {
  return formatted(texts[key] ?? key, values);
}

/** A message with its values; unbalanced braces and missing values raise. */
export function formatted(message: string, values: MessageValues): string {
  let text = "";
  let at = 0;
  while (at < message.length) {
    const open = message.indexOf("{", at);
    if (open < 0) return text + message.slice(at);
    const close = closing(message, open);
    text += message.slice(at, open) + argument(message.slice(open + 1, close), values);
    at = close + 1;
  }
  return text;
}

function argument(body: string, values: MessageValues): string {
  const [name = "", kind] = body.split(",", 2).map((part) => part.trim());
  const value = values[name];
  if (value === undefined) throw new Error(`a message has no value for ${name}`);
  const shown = typeof value === "number" ? format.format(value) : value;
  if (kind !== "plural") return shown;
  const forms = formsOf(body.slice(body.indexOf("plural") + "plural".length));
  const form = forms.get(`=${value}`) ?? forms.get(rules.select(Number(value)));
  const chosen = form ?? forms.get("other");
  if (chosen === undefined) throw new Error(`a plural of ${name} has no form "other"`);
  return formatted(chosen.replaceAll("#", shown), values);
}

function formsOf(text: string): Map<string, string> {
  const forms = new Map<string, string>();
  let at = 0;
  for (let open = text.indexOf("{"); open >= 0; open = text.indexOf("{", at)) {
    const close = closing(text, open);
    forms.set(text.slice(at, open).replace(",", "").trim(), text.slice(open + 1, close));
    at = close + 1;
  }
  return forms;
}

function closing(text: string, open: number): number {
  let depth = 0;
  for (let at = open; at < text.length; at += 1) {
    if (text[at] === "{") depth += 1;
    if (text[at] === "}") depth -= 1;
    if (depth === 0) return at;
  }
  throw new Error(`a brace is not closed in: ${text}`);
}
