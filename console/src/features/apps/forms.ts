/** Forms of module and step types out of their schemas. */

import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { read } from "@/api/client";
import type { FieldForm, ModuleForm } from "@/api/schema";
import type { Json, JsonSchema } from "@/model/schema";
import type { App } from "@/text/app";
import { type Forms, offeredBy } from "@/text/appRules";
import { setForms } from "./store";

/** All types, once they are read; the store has them, too. */
export function useForms() {
  const found = useQuery({
    queryKey: ["module-schemas"],
    queryFn: ({ signal }) => read("/api/v1/module-schemas", { query: { steps: true }, signal }),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const { data } = found;
  useEffect(() => {
    if (data) setForms(data);
  }, [data]);
  return found;
}

const LONG_CHARACTERS = 100_000;

/** The schema of a form: fields that suit the values which the text has. */
export function formSchema(form: ModuleForm, config: Record<string, unknown>, names: Names) {
  const properties = Object.fromEntries(
    form.configFields
      .filter((each) => each.key !== "routes" || !each.description.startsWith("Routes"))
      .map((each) => [each.key, fieldSchema(each, form, config[each.key], names)]),
  );
  const required = form.configFields.filter((each) => each.required).map((each) => each.key);
  return { type: "object", properties, required } satisfies JsonSchema;
}

type Names = (kind: string) => readonly string[];

/** Names of the modules that offer a kind of service. */
export function namesOf(app: App | undefined, forms: Forms): Names {
  return (kind) =>
    (app?.modules ?? [])
      .filter((each) => {
        const form = forms[each.type];
        return form && offeredBy(form).includes(kind);
      })
      .map((each) => each.id);
}

function fieldSchema(field: FieldForm, form: ModuleForm, value: unknown, names: Names): JsonSchema {
  const described = { description: descriptionOf(field) };
  const need = form.inputs.find((each) => each.key === field.key)?.type;
  const kind = field.refers || need;
  if (kind && !Array.isArray(value)) {
    const choices = new Set([...names(kind), ...(typeof value === "string" ? [value] : [])]);
    if (choices.size > 0) return { ...described, enum: [...choices] };
  }
  // An expansion such as ${PORT} is text in every field.
  if (typeof value === "string" && value.includes("${")) return { ...described, type: "string" };
  return { ...described, ...typed(field, form, value) };
}

function typed(field: FieldForm, form: ModuleForm, value: unknown): JsonSchema {
  switch (field.type) {
    case "number":
      return { type: typeof value === "string" ? "string" : "number" };
    case "boolean":
      return { type: typeof value === "string" ? "string" : "boolean" };
    case "select":
      return { enum: field.options };
    case "sql":
      return { type: "string", maxLength: LONG_CHARACTERS };
    case "array":
      return { type: "array", items: itemSchema(field, form, value) };
    case "map":
      return mapSchema(value);
    case "json":
      return typeof value === "string" ? { type: "string" } : {};
    default:
      return typeof value === "object" && value !== null ? {} : { type: "string" };
  }
}

function itemSchema(field: FieldForm, form: ModuleForm, value: unknown): JsonSchema {
  const members = (form.jsonSchema.properties ?? {}) as Record<string, { items?: JsonSchema }>;
  const items = Array.isArray(value) ? value : [];
  const plain = items.every((each) => typeof each === "string");
  return plain && members[field.key]?.items?.type === "string" ? { type: "string" } : {};
}

function mapSchema(value: unknown): JsonSchema {
  const members = Object.values((value ?? {}) as Record<string, Json>);
  const plain = members.every((each) => typeof each === "string");
  return { type: "object", additionalProperties: plain ? { type: "string" } : {} };
}

function descriptionOf({ description, defaultValue }: FieldForm): string {
  if (defaultValue === null || defaultValue === undefined) return description;
  return `${description} (${JSON.stringify(defaultValue)})`;
}
