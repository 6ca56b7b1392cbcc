import { say } from "@/model/messages";
import { type Json, type JsonSchema, kindOf } from "@/model/schema";
import { SchemaForm } from "@/values/schemaForm";

interface Props {
  schema: JsonSchema;
  value: Json | undefined;
  change: (value: Json | undefined) => void;
}

/** The input of a run by its schema; as JSON where the workflow has none. */
export function InputForm({ schema, value, change }: Props) {
  const form = kindOf(schema) === "object" ? schema : { title: say("run.inputJson") };
  return (
    <SchemaForm schema={form} value={value} change={change} checked={form === schema} folded />
  );
}
