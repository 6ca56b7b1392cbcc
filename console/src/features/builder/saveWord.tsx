import type { SaveState } from "@/editing/draftSession";
import { say } from "@/model/messages";
import { useBuilder } from "./store";

/** One of: kept here, saving, saved as version n, cannot save. */
export function SaveWord() {
  const save = useBuilder((state) => state.save);
  return (
    <span className="muted" role="status" data-testid="save-state">
      {wordsOf(save)}
    </span>
  );
}

export function wordsOf(save: SaveState): string {
  switch (save.word) {
    case "kept":
      return say("builder.kept");
    case "saving":
      return say("builder.saving");
    case "refused":
      return say("builder.cannotSave", { reason: save.reason });
    default:
      return say("builder.saved", { version: save.version });
  }
}
