import { Palette } from "@/editing/palette";
import { say } from "@/model/messages";
import { isStep } from "@/text/appRules";
import { type Addition, addedTo, additionsOf, DRAGGED } from "./additions";
import { TypeIcon } from "./icons";
import type { AppSession } from "./session";
import { useComposer } from "./store";

export function ModulePalette({ session }: { session: AppSession }) {
  const forms = useComposer((state) => state.forms);
  const flow = useComposer((state) => state.flow);
  const all = additionsOf(forms);
  const groups = [...new Set(all.map((each) => each.group))].filter((each) => each !== "steps");
  const steps = ["steps", say("apps.steps")] as const;
  const modules = groups.map((each) => [each, each] as const);
  return (
    <Palette<Addition>
      all={flow ? all.filter((each) => isStep(each.type)).concat(all.filter(noStep)) : all}
      groups={flow ? [steps, ...modules] : [...modules, steps]}
      add={(addition) => addedTo(session, addition)}
      icon={({ type }) => <TypeIcon type={type} size={14} />}
      dragged={DRAGGED}
      hint={say("apps.findModule")}
      kept="flowmesh.apps.used"
    />
  );
}

function noStep(each: Addition): boolean {
  return !isStep(each.type);
}
