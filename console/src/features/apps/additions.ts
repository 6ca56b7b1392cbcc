/** What the palette adds: modules to the canvas, steps to the shown pipeline. */

import type { ModuleForm } from "@/api/schema";
import type { Edge } from "@/editing/edgeLines";
import type { Entry } from "@/editing/palette";
import { say } from "@/model/messages";
import { appOf } from "@/text/app";
import { addModule, addStep, connectModules, placeModules } from "@/text/appEdits";
import { type Forms, isStep, moduleRefusal, namingOf } from "@/text/appRules";
import { freeId } from "@/text/operations";
import { parsed } from "@/text/source";
import type { Position } from "@/text/workflow";
import type { AppSession } from "./session";
import { select, useComposer } from "./store";

/** The type of dragged data. */
export const DRAGGED = "application/x-flowmesh-module";

export interface Addition extends Entry {
  type: string;
  config: Record<string, unknown>;
}

export function additionsOf(forms: Forms): Addition[] {
  return Object.values(forms).map((form) => ({
    key: form.type,
    label: form.type,
    about: `${form.label}: ${form.description}`,
    group: isStep(form.type) ? "steps" : form.category,
    type: form.type,
    config: requiredOf(form),
  }));
}

/** Required keys with their defaults or a value that shows their form. */
function requiredOf(form: ModuleForm): Record<string, unknown> {
  const required = form.configFields.filter((each) => each.required);
  return Object.fromEntries(
    required.map((each) => [each.key, each.defaultValue ?? each.options[0] ?? emptyOf(each.type)]),
  );
}

function emptyOf(type: string): unknown {
  if (type === "array") return [];
  return type === "map" || type === "json" ? {} : "";
}

interface Where {
  on?: Edge | undefined;
  at?: Position | undefined;
}

/** Add a module, or a step to the shown pipeline; what belongs elsewhere is refused. */
export function addedTo(session: AppSession, addition: Addition, { on, at }: Where = {}): void {
  const { flow } = useComposer.getState();
  const step = isStep(addition.type);
  if (step && !flow) session.refuse(say("apps.stepHere", { type: addition.type }));
  else if (!step && flow) session.refuse(say("apps.moduleHere", { type: addition.type }));
  else if (step) addedStep(session, addition, on);
  else addedModule(session, addition, at);
}

function addedModule(session: AppSession, addition: Addition, at: Position | undefined): void {
  const { selected, forms } = useComposer.getState();
  let name = "";
  const done = session.edit((text, modules) => {
    const wanted = { name: nameOf(addition.type), type: addition.type, config: addition.config };
    const added = addModule(text, modules, wanted);
    name = added.name;
    let next = at ? placeModules(added.text, new Map([[name, at]])) : added.text;
    for (const before of at ? [] : selected) {
      const now = appOf(parsed(next), namingOf(forms))?.modules ?? [];
      if (!moduleRefusal(now, forms, before, name)) next = connectModules(next, now, before, name);
    }
    return next;
  });
  if (done) select([name], "properties");
}

function addedStep(session: AppSession, addition: Addition, on: Edge | undefined): void {
  const { flow, steps, selected } = useComposer.getState();
  if (!flow) return;
  const name = freeId(steps, nameOf(addition.type));
  const before = on?.from ?? selected.at(-1);
  const index = steps.findIndex((each) => each.id === before);
  const done = session.edit((text) => {
    const step = { name, type: addition.type, config: addition.config };
    return addStep(text, flow.steps, step, index < 0 ? undefined : index + 1);
  });
  if (done) select([name], "properties");
}

/** A name out of a type: `http.middleware.cors` becomes `cors`. */
function nameOf(type: string): string {
  const last = type.split(".").at(-1) ?? type;
  return last === "modular" || last === "workflow" ? (type.split(".")[0] ?? last) : last;
}
