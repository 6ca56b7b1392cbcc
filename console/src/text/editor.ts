/** The editor of the text: YAML and JSON with completion and findings, in a shadow root. */

import { autocompletion, type CompletionSource, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, indentWithTab } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import {
  bracketMatching,
  foldGutter,
  HighlightStyle,
  indentOnInput,
  indentUnit,
  syntaxHighlighting,
} from "@codemirror/language";
import { type Diagnostic, lintGutter, setDiagnostics } from "@codemirror/lint";
import { search, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState } from "@codemirror/state";
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  keymap,
  lineNumbers,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { change, textState } from "./history";

export interface EditorOptions {
  host: HTMLElement;
  text: string;
  label: string;
  readOnly: boolean;
  complete: CompletionSource;
  changed: (text: string) => void;
  /** The cursor has moved to an offset. */
  moved: (offset: number) => void;
}

const LOOK = EditorView.theme({
  "&": { height: "100%", fontSize: "12px", color: "var(--text)", background: "var(--surface)" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.55" },
  ".cm-gutters": { background: "var(--frame)", color: "var(--muted)", border: "none" },
  // The colours of the text are read on it.
  ".cm-activeLine, .cm-activeLineGutter": { background: "var(--frame)" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  "&.cm-focused": { outline: "2px solid var(--focus)", outlineOffset: "-2px" },
  ".cm-selectionBackground, &.cm-focused .cm-selectionBackground": {
    background: "var(--selected) !important",
  },
  ".cm-tooltip": {
    background: "var(--raised)",
    color: "var(--text)",
    border: "1px solid var(--line)",
    borderRadius: "4px",
    maxWidth: "420px",
  },
  ".cm-tooltip-autocomplete ul li[aria-selected]": {
    background: "var(--selected)",
    color: "var(--text)",
  },
  ".cm-panels": { background: "var(--frame)", color: "var(--text)" },
  ".cm-diagnosticAction": { background: "var(--accent)", color: "var(--on-accent)" },
});

const COLOURS = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--accent)" },
  { tag: tags.string, color: "var(--success)" },
  { tag: [tags.number, tags.bool, tags.null, tags.keyword], color: "var(--undoing)" },
  { tag: tags.comment, color: "var(--muted)", fontStyle: "italic" },
  { tag: [tags.separator, tags.meta], color: "var(--muted)" },
]);

/**
 * Text typed over a selection is inserted here: the browser would keep the look of what it replaces
 * as an inline style, which the policy of the page reports.
 */
const TYPED_OVER = EditorView.domEventHandlers({
  beforeinput: (event, view) => {
    const { state, composing } = view;
    const plain = event.inputType === "insertText" && event.data !== null;
    if (!plain || composing || state.readOnly || state.selection.main.empty) return false;
    view.dispatch(state.replaceSelection(event.data), { userEvent: "input.type" });
    event.preventDefault();
    return true;
  },
});

export class TextEditor {
  readonly view: EditorView;
  readonly #writable = new Compartment();

  constructor({ host, text, label, readOnly, complete, changed, moved }: EditorOptions) {
    const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
    root.replaceChildren();
    const parent = document.createElement("div");
    parent.style.height = "100%";
    root.append(parent);
    const watch = EditorView.updateListener.of((update) => {
      if (update.docChanged) changed(update.state.doc.toString());
      if (update.selectionSet) moved(update.state.selection.main.head);
    });
    const state = textState(text, [
      lineNumbers(),
      foldGutter(),
      lintGutter(),
      highlightActiveLine(),
      highlightActiveLineGutter(),
      drawSelection(),
      indentOnInput(),
      bracketMatching(),
      indentUnit.of("  "),
      yaml(),
      syntaxHighlighting(COLOURS),
      autocompletion({ override: [complete], icons: false }),
      search({ top: true }),
      keymap.of([...completionKeymap, ...searchKeymap, indentWithTab, ...defaultKeymap]),
      EditorView.lineWrapping,
      EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }),
      this.#writable.of(EditorState.readOnly.of(readOnly)),
      TYPED_OVER,
      LOOK,
      watch,
    ]);
    this.view = new EditorView({ state, parent, root });
  }

  get text(): string {
    return this.view.state.doc.toString();
  }

  /** Replace the text by an edit of the canvas. */
  apply(next: string, series = false): void {
    const made = change(this.view.state, next, series);
    if (made) this.view.dispatch(made);
  }

  /** Select a range and scroll it into view, when the panel of the text is drawn. */
  show(from: number, to: number, focus: boolean): void {
    requestAnimationFrame(() => {
      const most = this.view.state.doc.length;
      const [start, end] = [Math.min(from, most), Math.min(to, most)];
      this.view.dispatch({
        selection: { anchor: start, head: focus ? end : start },
        effects: EditorView.scrollIntoView(start, { y: "center" }),
      });
      if (focus) this.view.focus();
    });
  }

  mark(diagnostics: readonly Diagnostic[]): void {
    this.view.dispatch(setDiagnostics(this.view.state, diagnostics));
  }

  /** The offset of a line and column, both from one. */
  offsetOf(line: number, column: number): number {
    const { doc } = this.view.state;
    const found = doc.line(Math.min(Math.max(1, line), doc.lines));
    return Math.min(found.to, found.from + Math.max(0, column - 1));
  }

  destroy(): void {
    this.view.destroy();
  }
}
