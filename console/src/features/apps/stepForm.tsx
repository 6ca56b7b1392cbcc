import { useMemo, useState } from "react";
import { Button, TextField } from "@/design/primitives";
import styles from "@/editing/inspector.module.css";
import { say } from "@/model/messages";
import type { Json, JsonSchema } from "@/model/schema";
import type { AppStep } from "@/text/app";
import { moveItem } from "@/text/appEdits";
import { set, update } from "@/text/edits";
import { SchemaForm } from "@/values/schemaForm";
import { TemplateScope } from "@/values/templates";
import { ConfigForm } from "./configForm";
import { TypeIcon } from "./icons";
import { useSession } from "./session";
import { select, useComposer } from "./store";

const STEP_MEMBERS = ["if", "skip_if", "on_error", "timeout"];
const STEP_SCHEMA: JsonSchema = {
  type: "object",
  properties: Object.fromEntries(STEP_MEMBERS.map((each) => [each, { type: "string" }])),
};

/** A step of the shown pipeline. */
export function StepPanel({ step }: { step: AppStep }) {
  const session = useSession();
  const { flow, steps } = useComposer();
  const place = steps.indexOf(step);
  const shift = (to: number) =>
    flow && session.edit((text) => moveItem(text, flow.steps, place, to));
  return (
    <section className={styles.panel} aria-label={say("apps.stepOf", { name: step.id })}>
      <h2>
        <TypeIcon type={step.type} /> <code>{step.type}</code>
      </h2>
      <StepForm step={step} />
      <div className={styles.actions}>
        <Button small disabled={place <= 0} onClick={() => shift(place - 1)}>
          {say("apps.earlier")}
        </Button>
        <Button small disabled={place >= steps.length - 1} onClick={() => shift(place + 1)}>
          {say("apps.later")}
        </Button>
        <Button
          small
          kind="danger"
          onClick={() => session.edit((text) => set(text, step.place, undefined))}
        >
          {say("apps.removeStep")}
        </Button>
      </div>
    </section>
  );
}

/** The name, the configuration and the conditions of a step. */
export function StepForm({ step }: { step: AppStep }) {
  const session = useSession();
  const { steps, app } = useComposer();
  const names = useMemo(() => scopeOf(steps, step), [steps, step]);
  const [name, setName] = useState(step.id);
  const rename = () => {
    const at = { doc: step.place.doc, path: [...step.place.path, "name"] };
    const wanted = name.trim();
    if (wanted && wanted !== step.id) session.edit((text) => set(text, at, wanted));
    if (wanted) select([wanted]);
  };
  const edit = (value: Json | undefined) =>
    session.edit((text) => update(text, step.place, step.value, value), true);
  if (!app) return null;
  return (
    <TemplateScope.Provider value={names}>
      <TextField
        label={say("apps.stepName")}
        hint={say("apps.stepNameHint")}
        value={name}
        onBlur={rename}
        onKeyDown={(event) => event.key === "Enter" && rename()}
        change={setName}
      />
      <ConfigForm part={step} />
      <SchemaForm schema={STEP_SCHEMA} value={step.value as Json} change={edit} checked={false} />
    </TemplateScope.Provider>
  );
}

/** Names of templates: the request, and the outputs of the steps before. */
function scopeOf(steps: readonly AppStep[], step: AppStep) {
  const before = steps.slice(
    0,
    Math.max(
      0,
      steps.findIndex((each) => each.id === step.id),
    ),
  );
  const given = [
    " .request.path ",
    " .request.auth.email ",
    " .request.headers ",
    " now ",
    " uuidv4 ",
  ];
  return [...before.map((each) => ` .steps.${each.id} `), ...given].map((path) => ({
    path,
    type: "",
  }));
}
