import { useMemo, useState } from "react";
import { findingsOf, placeOfFinding } from "@/editing/diagnostics";
import { say } from "@/model/messages";
import type { Json } from "@/model/schema";
import type { AppModule, AppStep } from "@/text/app";
import { update } from "@/text/edits";
import type { Place } from "@/text/source";
import { SchemaForm } from "@/values/schemaForm";
import { formSchema, namesOf } from "./forms";
import { useSession } from "./session";
import { useComposer } from "./store";

/** The configuration of a module or step, by its type. */
export function ConfigForm({ part }: { part: AppModule | AppStep }) {
  const session = useSession();
  const { app, forms } = useComposer();
  const form = forms[part.type];
  // The kind of a field stays while its value is typed.
  const [first] = useState(part.config);
  const schema = useMemo(
    () => form && formSchema(form, first, namesOf(app, forms)),
    [form, first, app, forms],
  );
  const found = useFieldFindings(part.place);
  const place = { doc: part.place.doc, path: [...part.place.path, "config"] };
  const edit = (value: Json | undefined) =>
    session.edit((text) => update(text, place, part.value.config, emptied(value)), true);
  if (!schema) return <p className="muted">{say("apps.unknownType", { type: part.type })}</p>;
  return (
    <>
      <p className="muted">{form?.description}</p>
      {found.has("") && <p role="alert">{found.get("")}</p>}
      <SchemaForm
        schema={schema}
        value={part.config as Json}
        change={edit}
        checked={false}
        found={found}
      />
    </>
  );
}

/** A configuration without members is none. */
function emptied(value: Json | undefined): Json | undefined {
  const none = value && typeof value === "object" && Object.keys(value).length === 0;
  return none ? undefined : value;
}

/** The findings of a module or step, by JSON pointer below its configuration. */
function useFieldFindings(place: Place): ReadonlyMap<string, string> {
  const { findings, source } = useComposer();
  return useMemo(() => {
    const found = new Map<string, string>();
    const own = findingsOf(findings, [{ id: "", place }], source).get("") ?? [];
    for (const finding of own) {
      const rest = placeOfFinding(finding, source).path.slice(place.path.length);
      const below = rest[0] === "config" ? rest.slice(1) : [];
      const pointer = below.map(
        (key) => `/${String(key).replaceAll("~", "~0").replaceAll("/", "~1")}`,
      );
      found.set(pointer.join(""), finding.message);
    }
    return found;
  }, [findings, source, place]);
}
