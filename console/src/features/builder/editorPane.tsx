import { TextPane } from "@/editing/textPane";
import { placeAt } from "@/text/source";
import { useCompletion } from "./completion";
import { useSession } from "./session";
import { placeOf, select, useBuilder } from "./store";

/** The text of the workflow; its cursor chooses the task that it stands in. */
export function EditorPane({ hidden }: { hidden: boolean }) {
  const session = useSession();
  const complete = useCompletion();
  return <TextPane session={session} hidden={hidden} complete={complete} reached={chooseAt} />;
}

/** Select the task of the shown list whose text holds an offset. */
function chooseAt(offset: number): void {
  const state = useBuilder.getState();
  const shown = placeOf(state);
  const at = placeAt(state.source, offset);
  if (!shown || !at || at.doc !== shown.doc) return;
  const depth = shown.path.length;
  if (shown.path.some((key, place) => at.path[place] !== key)) return;
  const task = state.tasks.find((each) => each.place.path[depth] === at.path[depth]);
  if (task && state.selected[0] !== task.id) select([task.id]);
}
