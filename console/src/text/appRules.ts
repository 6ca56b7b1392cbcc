/** Rules for connections of modules: those that cannot work are refused in a sentence. */

import type { ModuleForm } from "@/api/schema";
import type { AppModule } from "./app";
import { circle } from "./workflow";

export type Forms = Readonly<Record<string, ModuleForm>>;

export function isStep(type: string): boolean {
  return type.startsWith("step.");
}

/** The kinds of services that a type takes from other modules. */
export function takenBy(form: ModuleForm): string[] {
  const named = form.configFields.map((each) => each.refers).filter(Boolean);
  return [...new Set([...form.inputs.map((each) => each.type), ...named])];
}

export function offeredBy(form: ModuleForm): string[] {
  return form.outputs.map((each) => each.type);
}

/** Keys of the configuration of a type that name modules. */
export function namingOf(forms: Forms): (type: string) => readonly string[] {
  return (type) => {
    const form = forms[type];
    const keys = form?.configFields.filter((each) => each.refers).map((each) => each.key) ?? [];
    return [
      ...keys,
      ...(form?.inputs.map((each) => each.key).filter(Boolean) ?? []),
      "middlewares",
    ];
  };
}

/** The reason for which a module cannot depend on another one. */
export function moduleRefusal(
  modules: readonly AppModule[],
  forms: Forms,
  from: string,
  to: string,
): string | undefined {
  if (from === to) return `a module cannot depend on itself: ${from}`;
  const source = modules.find((each) => each.id === from);
  const target = modules.find((each) => each.id === to);
  if (!source || !target) return undefined;
  if (target.after.some((each) => each.task === from)) return `${to} already depends on ${from}`;
  const stated = modules.map((each) => ({ ...each, uses: [] }));
  const path = circle(stated, from, to);
  if (path) return `would close a circle: ${path.join(" → ")}`;
  // Steps among the modules are a flow of their own.
  if (isStep(source.type) || isStep(target.type)) return undefined;
  const [giving, taking] = [forms[source.type], forms[target.type]];
  if (!giving || !taking) return undefined;
  const [offered, taken] = [offeredBy(giving), takenBy(taking)];
  if (offered.some((each) => taken.includes(each))) return undefined;
  const gives = offered.length > 0 ? `offers ${offered.join(" and ")}` : "offers nothing";
  const takes = taken.length > 0 ? `takes ${taken.join(", ")}` : "takes nothing of other modules";
  return `${from} ${gives}, and ${to} ${takes}`;
}
