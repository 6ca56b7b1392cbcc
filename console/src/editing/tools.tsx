import { PanelLeft, Redo2, Undo2, WandSparkles } from "lucide-react";
import { IconButton } from "@/design/primitives";
import { say } from "@/model/messages";
import type { DraftSession } from "./draftSession";

interface Props {
  session: DraftSession;
  /** Let the layout place what was moved by hand. */
  tidy: (text: string) => string;
  /** Show or hide the palette. */
  fold: () => void;
}

/** The buttons of a canvas that is edited. */
export function EditTools({ session, tidy, fold }: Props) {
  return (
    <>
      <IconButton label={say("builder.fold")} onClick={fold}>
        <PanelLeft size={14} />
      </IconButton>
      <IconButton label={say("builder.undo")} onClick={() => session.undo()}>
        <Undo2 size={14} />
      </IconButton>
      <IconButton label={say("builder.redo")} onClick={() => session.redo()}>
        <Redo2 size={14} />
      </IconButton>
      <IconButton label={say("builder.tidy")} onClick={() => session.change(tidy)}>
        <WandSparkles size={14} />
      </IconButton>
    </>
  );
}
