/** Completion of the text: members, types, keys of configurations, names of modules. */

import type { CompletionContext, CompletionResult } from "@codemirror/autocomplete";
import { isStep } from "@/text/appRules";
import { contextAt } from "@/text/context";
import { valueAt } from "@/text/edits";
import { placeAt } from "@/text/source";
import { useComposer } from "./store";

const TOP = ["name", "description", "modules", "workflows", "triggers", "pipelines", "imports"];
const MODULE = ["name", "type", "config", "dependsOn"];
const ROUTE = ["method", "path", "handler", "middlewares", "pipeline"];
const STEP = ["name", "type", "config", "if", "skip_if", "on_error", "timeout", "retry"];

export function complete(context: CompletionContext): CompletionResult | null {
  const text = context.state.doc.toString();
  const { path, value, from } = contextAt(text, context.pos);
  if (!context.explicit && from === context.pos) return null;
  const labels = value ? valuesAt(path, context.pos) : membersAt(path, context.pos);
  const apply = (label: string) => (value ? label : `${label}: `);
  const type = value ? "enum" : "property";
  return { from, options: labels.map((label) => ({ label, apply: apply(label), type })) };
}

function membersAt(path: readonly (string | number)[], offset: number): string[] {
  if (path.length === 0) return TOP;
  const last = path.at(-1);
  if (last === "config") return keysOf(typeAt(offset));
  if (path[0] === "modules" && path.length === 2) return MODULE;
  const owner = last === 0 ? path.at(-2) : undefined;
  if (owner === "routes") return ROUTE;
  if (owner === "steps") return STEP;
  return owner === "middlewares" || owner === "dependsOn" ? names() : [];
}

function valuesAt(path: readonly (string | number)[], offset: number): string[] {
  const { forms } = useComposer.getState();
  const key = path.at(-1);
  if (key === "type") {
    const steps = path.includes("steps");
    return Object.keys(forms).filter((each) => isStep(each) === steps);
  }
  if (key === "handler" || key === "dependsOn" || key === "middlewares") return names();
  const field = forms[typeAt(offset)]?.configFields.find((each) => each.key === key);
  if (field?.refers) return names();
  return field?.type === "boolean" ? ["true", "false"] : (field?.options ?? []);
}

function names(): string[] {
  return (useComposer.getState().app?.modules ?? []).map((each) => each.id);
}

/** The type of the module or step that an offset lies in. */
function typeAt(offset: number): string {
  const { source } = useComposer.getState();
  const found = placeAt(source, Math.max(0, offset - 1))?.path ?? [];
  for (let depth = found.length; depth > 0; depth -= 1) {
    const owner = valueAt(source.values[0], found.slice(0, depth)) as
      | { type?: unknown }
      | undefined;
    if (typeof owner?.type === "string") return owner.type;
  }
  return "";
}

function keysOf(type: string): string[] {
  return useComposer.getState().forms[type]?.configFields.map((each) => each.key) ?? [];
}
