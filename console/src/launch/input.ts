/** The input of a started workflow: its schema, and what was given last in this browser. */

import type { Json, JsonSchema } from "@/model/schema";
import { simplified } from "@/text/schemas";

const KEPT = "flowmesh.builder.input.";

/** The schema of the input of a definition; empty if it has none. */
export function inputSchemaOf(definition: unknown): JsonSchema {
  const { spec, inputSchema } = (definition ?? {}) as Record<string, unknown>;
  const found = inputSchema ?? (spec as Record<string, unknown> | undefined)?.inputSchema;
  if (!found || typeof found !== "object") return {};
  return simplified(found, found as JsonSchema);
}

export function keep(workflow: string, input: Json | undefined): void {
  localStorage.setItem(KEPT + workflow, JSON.stringify(input ?? {}));
}

export function kept(workflow: string): Json | undefined {
  try {
    return JSON.parse(localStorage.getItem(KEPT + workflow) ?? "null") ?? undefined;
  } catch {
    return undefined;
  }
}
