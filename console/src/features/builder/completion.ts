/** Completion of the text: members and values of the schema, tasks, and names in templates. */

import type { Completion, CompletionContext, CompletionResult } from "@codemirror/autocomplete";
import { useQuery } from "@tanstack/react-query";
import { useCallback, useRef } from "react";
import { read } from "@/api/client";
import type { TaskAnswer, TaskTypeValue } from "@/api/schema";
import type { JsonSchema } from "@/model/schema";
import { contextAt } from "@/text/context";
import { memberNames, schemasAt, valueNames } from "@/text/schemas";
import { namesIn, schemaOf } from "@/text/scope";
import { parsed } from "@/text/source";
import type { Task } from "@/text/workflow";
import { useBuilder } from "./store";

const KINDS = { Workflow: "workflow", WorkflowTask: "task", WorkflowTemplate: "template" } as const;
export type SchemaKind = (typeof KINDS)[keyof typeof KINDS] | "steps" | "graph";

/** The JSON Schema of a kind of document, as the server has it. */
export function useSchema(kind: SchemaKind): JsonSchema | undefined {
  const found = useQuery({
    queryKey: ["schemas", kind],
    queryFn: ({ signal }) => read("/api/v1/schemas/{kind}", { path: { kind }, signal }),
    staleTime: Number.POSITIVE_INFINITY,
  });
  return found.data as JsonSchema | undefined;
}

export interface Library {
  tasks: readonly TaskAnswer[];
  types: readonly TaskTypeValue[];
}

export function useLibrary(): Library {
  const tasks = useQuery({
    queryKey: ["tasks", "library"],
    queryFn: ({ signal }) => read("/api/v1/tasks", { query: { pageSize: 200 }, signal }),
  });
  const types = useQuery({
    queryKey: ["task-types"],
    queryFn: ({ signal }) => read("/api/v1/task-types", { signal }),
    staleTime: Number.POSITIVE_INFINITY,
  });
  return { tasks: tasks.data?.tasks ?? [], types: types.data?.taskTypes ?? [] };
}

/** The schema of the output of a task: of its resource here or in the library, or of its type. */
export function outputOf(task: Task, { tasks, types }: Library): unknown {
  const spec = taskSpec(task.ref) ?? specOf(tasks.find((each) => each.name === task.ref));
  const type = spec?.type ?? task.ref;
  return (
    spec?.outputSchema ?? types.find((each) => each.name === type || each.native === type)?.output
  );
}

/** The `spec` of a task resource in the text. */
export function taskSpec(name: string): Record<string, unknown> | undefined {
  const { values } = parsed(useBuilder.getState().text);
  for (const value of values as { kind?: string; metadata?: { name?: string }; spec?: object }[]) {
    if (value?.kind === "WorkflowTask" && value.metadata?.name === name) return { ...value.spec };
  }
  return undefined;
}

export function specOf(task: TaskAnswer | undefined): Record<string, unknown> | undefined {
  return (task?.definition as { spec?: Record<string, unknown> } | undefined)?.spec;
}

/** A completion that is the same function as long as the editor lives. */
export function useCompletion() {
  const schemas = {
    Workflow: useSchema("workflow"),
    WorkflowTask: useSchema("task"),
    WorkflowTemplate: useSchema("template"),
  };
  const library = useLibrary();
  const newest = useRef({ schemas, library });
  newest.current = { schemas, library };
  return useCallback((context: CompletionContext): CompletionResult | null => {
    const text = context.state.doc.toString();
    const at = contextAt(text, context.pos);
    if (at.template !== undefined)
      return inTemplate(at.template, context.pos, newest.current.library);
    const kind = (at.kind ?? "Workflow") as keyof typeof KINDS;
    const schema = newest.current.schemas[kind];
    if (!schema || (!context.explicit && at.from === context.pos)) return null;
    const found = schemasAt(schema, at.path);
    if (!at.value) {
      const names = [...memberNames(found, schema)];
      const options = names.map(([label, info]) => ({
        label,
        apply: `${label}: `,
        info,
        type: "property",
      }));
      if (at.path.at(-2) !== "dependsOn" && at.path.at(-1) !== 0) return { from: at.from, options };
      return { from: at.from, options: [...options, ...ids(at.path)] };
    }
    const words = [
      ...valueNames(found).map((label) => ({ label, type: "enum" })),
      ...refs(at.path, newest.current.library),
    ];
    return { from: at.from, options: words };
  }, []);
}

function ids(path: readonly (string | number)[]): Completion[] {
  if (!path.includes("dependsOn")) return [];
  return useBuilder.getState().tasks.map(({ id }) => ({ label: id, type: "variable" }));
}

function refs(path: readonly (string | number)[], { tasks, types }: Library): Completion[] {
  const key = path.at(-1);
  if (path.includes("dependsOn")) return ids(path);
  if (key !== "taskRef") return [];
  const direct = types.filter((each) => !each.block).map((each) => each.name);
  return [...tasks.map((each) => each.name), ...direct].map((label) => ({ label, type: "class" }));
}

function inTemplate(written: string, at: number, library: Library): CompletionResult {
  const word = /[\w.[\]"-]*$/.exec(written)?.[0] ?? "";
  const options = scopeNames(library).map(({ path, type }) => ({
    label: path,
    detail: type,
    type: "variable",
  }));
  return { from: at - word.length, options, validFor: /^[\w.[\]"-]*$/ };
}

/** A schema that says something. */
function known(schema: unknown): unknown {
  return schema && typeof schema === "object" && Object.keys(schema).length > 0
    ? schema
    : undefined;
}

/** The names in scope of the selected task, or of all: of schemas, or else of the last run. */
export function scopeNames(library: Library) {
  const { workflow, tasks, selected, levels, outputs, input } = useBuilder.getState();
  if (!workflow) return [];
  return namesIn({
    workflow,
    tasks,
    id: selected[0],
    input: schemaOf(input),
    outputOf: (task) => known(outputOf(task, library)) ?? schemaOf(outputs.get(task.id)),
    bodies: levels.flatMap((each) => each.path.map(String)),
  });
}
