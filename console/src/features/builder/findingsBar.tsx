import type { ProblemValue } from "@/api/schema";
import { offsetsOf, placeOfFinding } from "@/editing/diagnostics";
import { Findings } from "@/editing/findings";
import { useSession } from "./session";
import { placeOf, select, useBuilder } from "./store";

/** The findings of the workflow; each leads to its task and its place in the text. */
export function FindingsBar() {
  const session = useSession();
  const state = useBuilder();
  const { source } = state;
  const go = (finding: ProblemValue) => {
    const { from, to } = offsetsOf(finding, { source });
    const at = placeOfFinding(finding, source);
    const shown = placeOf(state);
    const index = shown && at.path[shown.path.length];
    const task = state.tasks.find((each) => each.place.path.at(-1) === index);
    if (task) select([task.id]);
    useBuilder.setState({ panel: "text" });
    session.editor?.show(from, to, true);
  };
  return <Findings session={session} shown={state} go={go} />;
}
