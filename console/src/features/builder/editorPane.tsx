import { useEffect, useRef } from "react";
import { say } from "@/model/messages";
import { TextEditor } from "@/text/editor";
import { placeAt } from "@/text/source";
import { useCompletion } from "./completion";
import styles from "./page.module.css";
import { useSession } from "./session";
import { placeOf, select, useBuilder } from "./store";

/** The text of the draft; its cursor chooses the task that it stands in. */
export function EditorPane({ hidden }: { hidden: boolean }) {
  const session = useSession();
  const host = useRef<HTMLDivElement>(null);
  const complete = useCompletion();
  useEffect(() => {
    if (!host.current) return;
    const editor = new TextEditor({
      host: host.current,
      text: session.draft.text,
      label: say("builder.text"),
      readOnly: false,
      complete,
      changed: (text) => session.changed(text),
      moved: (offset) => {
        if (editor.view.hasFocus) chooseAt(offset);
      },
    });
    session.attach(editor);
    return () => editor.destroy();
  }, [session, complete]);
  return <div ref={host} hidden={hidden} className={styles.editor} data-testid="text" />;
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
