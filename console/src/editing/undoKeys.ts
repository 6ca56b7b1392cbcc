import type { KeyMap } from "@/app/keys";
import type { DraftSession } from "./draftSession";

/** The keys that take the last edit of a document back, of its text and of its canvas alike. */
export function undoKeys(session: DraftSession, dialog: boolean): KeyMap<"builder"> {
  // Fields of a dialog undo their own letters.
  if (dialog) return {};
  return {
    "mod+z": ({ shiftKey }) => (shiftKey ? session.redo() : session.undo()),
    "mod+y": () => session.redo(),
  };
}
