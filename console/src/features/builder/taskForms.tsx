import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { read } from "@/api/client";
import { Fold } from "@/design/primitives";
import { say } from "@/model/messages";
import { type Json, type JsonSchema, kindOf } from "@/model/schema";
import { update } from "@/text/edits";
import { simplified } from "@/text/schemas";
import type { Task } from "@/text/workflow";
import { SchemaField, SchemaForm } from "@/values/schemaForm";
import { specOf, taskSpec, useLibrary } from "./completion";
import { useSession } from "./session";
import { useBuilder } from "./store";

interface InputProps {
  task: Task;
  edit: (value: Json | undefined) => void;
}

/** The input of a task by the schema of what it refers to; without one as a template or JSON. */
export function InputForm({ task, edit }: InputProps) {
  const schema = useInputSchema(task.ref);
  const value = task.value.input as Json | undefined;
  const change = (input: Json | undefined) => {
    const { input: _, ...others } = task.value as Record<string, Json>;
    edit(input === undefined ? others : { ...others, input });
  };
  const object = schema && kindOf(schema) === "object" && typeof value !== "string";
  return (
    <fieldset>
      <legend>{say("builder.input")}</legend>
      {object ? (
        <SchemaForm schema={schema} value={value} change={change} checked={false} folded />
      ) : (
        <SchemaField
          name="input"
          schema={{ title: say("builder.value") }}
          root={{}}
          path="/input"
          problems={NONE}
          value={value}
          change={change}
          required={false}
        />
      )}
    </fieldset>
  );
}

const NONE: ReadonlyMap<string, string> = new Map();
/** The input of a transform: each operation of its pipeline by the schema of its parameters. */
function useTransform(enabled: boolean): JsonSchema {
  const found = useQuery({
    queryKey: ["transform", "operations"],
    queryFn: ({ signal }) => read("/api/v1/transform/operations", { signal }),
    staleTime: Number.POSITIVE_INFINITY,
    enabled,
  });
  return useMemo(() => {
    const forms = found.data?.operations.map(({ name, summary, parameters }) => {
      const { properties = {}, required = [] } = parameters as JsonSchema;
      const members = simplified({ type: "object", properties }, parameters as JsonSchema);
      return {
        type: "object",
        title: name,
        description: summary,
        required: ["operation", ...(required as string[])],
        properties: { operation: { const: name }, ...(members.properties as object) },
      };
    });
    const items = forms ? { oneOf: forms } : { type: "object" };
    return {
      type: "object",
      properties: { source: { title: "Source" }, pipeline: { type: "array", items } },
    };
  }, [found.data]);
}

function useInputSchema(ref: string): JsonSchema | undefined {
  const { types } = useLibrary();
  const transform = useTransform(ref === "transform");
  const stored = useQuery({
    queryKey: ["tasks", ref],
    queryFn: ({ signal }) => read("/api/v1/tasks/{name}", { path: { name: ref }, signal }),
    enabled:
      types.length > 0 &&
      !!ref &&
      !taskSpec(ref) &&
      !types.some((each) => each.name === ref) &&
      // A template, or what is no name, has no schema.
      !/[{\s]/.test(ref),
    retry: false,
  });
  const own = taskSpec(ref) ?? specOf(stored.data);
  const type = types.find((each) => each.name === ref);
  return useMemo(() => {
    if (ref === "transform") return transform;
    const found = (own?.inputSchema ?? type?.parameters) as JsonSchema | undefined;
    return found && typeof found === "object" ? simplified(found, found) : undefined;
  }, [ref, transform, own?.inputSchema, type]);
}

/** The parameters of a task resource of the text, by the schema of its type. */
export function ResourceForm({ name }: { name: string }) {
  const session = useSession();
  const { types } = useLibrary();
  const { source } = useBuilder();
  const doc = source.values.findIndex((value) => {
    const { kind, metadata } = (value ?? {}) as { kind?: string; metadata?: { name?: string } };
    return kind === "WorkflowTask" && metadata?.name === name;
  });
  const spec = taskSpec(name);
  const type = types.find((each) => each.native === spec?.type || each.name === spec?.type);
  if (doc < 0 || !spec || !type?.block) return null;
  const schema = type.parameters as JsonSchema;
  const place = { doc, path: ["spec", type.block] };
  const value = spec[type.block] as Json | undefined;
  return (
    <Fold title={say("builder.resource", { name })} open>
      <SchemaForm
        schema={simplified(schema, schema)}
        value={value}
        change={(next) => session.edit((text) => update(text, place, value, next), true)}
        checked={false}
        folded
      />
    </Fold>
  );
}
