/** The state of the text with the one history of undo that typing and the canvas share. */

import { history, historyKeymap, isolateHistory } from "@codemirror/commands";
import { EditorState, type Extension, type TransactionSpec } from "@codemirror/state";
import { keymap } from "@codemirror/view";

export const UNDO_STEPS_MIN = 500;

/** The history, with the keys of undo and redo. */
export function undoable(): Extension {
  return [history({ minDepth: UNDO_STEPS_MIN }), keymap.of(historyKeymap)];
}

export function textState(text: string, extensions: Extension = []): EditorState {
  return EditorState.create({ doc: text, extensions: [undoable(), extensions] });
}

/**
 * The change to another text as the one range that differs: a step of the history of its own, or
 * joined with those before if it is one of a series, such as letters typed in a form.
 */
export function change(
  state: EditorState,
  next: string,
  series = false,
): TransactionSpec | undefined {
  const before = state.doc.toString();
  if (before === next) return undefined;
  const most = Math.min(before.length, next.length);
  let start = 0;
  while (start < most && before[start] === next[start]) start += 1;
  let tail = 0;
  while (tail < most - start && before[before.length - 1 - tail] === next[next.length - 1 - tail]) {
    tail += 1;
  }
  return {
    changes: {
      from: start,
      to: before.length - tail,
      insert: next.slice(start, next.length - tail),
    },
    ...(series ? {} : { annotations: isolateHistory.of("full") }),
    userEvent: series ? "input.type.form" : "input.canvas",
  };
}
