import type { CompletionSource } from "@codemirror/autocomplete";
import { useEffect, useRef } from "react";
import { say } from "@/model/messages";
import { TextEditor } from "@/text/editor";
import type { DraftSession } from "./draftSession";
import styles from "./page.module.css";

interface Props {
  session: DraftSession;
  hidden: boolean;
  /** The same function as long as the editor lives. */
  complete: CompletionSource;
  /** The cursor of the reader stands at an offset; the same function, too. */
  reached: (offset: number) => void;
}

/** The text of a draft. */
export function TextPane({ session, hidden, complete, reached }: Props) {
  const host = useRef<HTMLDivElement>(null);
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
        if (editor.view.hasFocus) reached(offset);
      },
    });
    session.attach(editor);
    return () => editor.destroy();
  }, [session, complete, reached]);
  return <div ref={host} hidden={hidden} className={styles.editor} data-testid="text" />;
}
