/** One draft that is edited as text and on a canvas: its editor, its record, its checks. */

import { redo, undo } from "@codemirror/commands";
import type { ProblemValue } from "@/api/schema";
import { say } from "@/model/messages";
import { type Base, type Draft, DraftWriter } from "@/text/drafts";
import type { TextEditor } from "@/text/editor";
import { EditRefused } from "@/text/edits";
import { type Fault, type Place, parsed, rangeOf, type Source } from "@/text/source";
import { diagnosticsOf } from "./diagnostics";

const CHECK_AFTER_MS = 300;
/** Longer texts are shown without a canvas of their own. */
export const EDITED_CHARACTERS_MAX = 600_000;

export type SaveState =
  | { word: "clean"; version: number }
  | { word: "kept" }
  | { word: "saving" }
  | { word: "saved"; version: number }
  | { word: "refused"; reason: string };

/** What is shown of every draft; stores of pages hold more. */
export interface Shown {
  text: string;
  source: Source;
  fault: Fault | undefined;
  /** A refused edit, in a sentence. */
  notice: string | undefined;
  findings: readonly ProblemValue[];
  /** The text that the findings are of; undefined while the server has not answered. */
  checked: string | undefined;
  save: SaveState;
  /** The reason for which nothing can be edited on the canvas. */
  readOnly: string | undefined;
}

interface ShownStore {
  getState: () => Shown;
  setState: (partial: Partial<Shown>) => void;
}

interface Options {
  draft: Draft;
  release: () => void;
  store: ShownStore;
  /** Let the shown state follow the text; its name is what the draft is listed by. */
  read: (text: string) => string | undefined;
  /** Ask the server for what is wrong; further state may be set before it returns. */
  check: (text: string, signal: AbortSignal) => Promise<readonly ProblemValue[]>;
}

export class DraftSession {
  draft: Draft;
  readonly #options: Options;
  readonly #writer: DraftWriter;
  #editor: TextEditor | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #frame = 0;
  #checking: AbortController | undefined;

  constructor(options: Options) {
    const { draft, store, read } = options;
    this.#options = options;
    this.draft = draft;
    this.#writer = new DraftWriter((raised) =>
      this.refused(say("builder.notKept", { fault: String(raised) })),
    );
    const readOnly =
      draft.text.length > EDITED_CHARACTERS_MAX ? say("builder.tooLarge") : undefined;
    store.setState({ readOnly });
    if (!readOnly) read(draft.text);
    this.#setSaved();
    this.schedule();
  }

  attach(editor: TextEditor): void {
    this.#editor = editor;
    this.#mark();
  }

  get editor(): TextEditor | undefined {
    return this.#editor;
  }

  get text(): string {
    return this.#editor?.text ?? this.draft.text;
  }

  /** The text has changed, by typing or by the canvas. */
  changed(text: string): void {
    this.draft = { ...this.draft, text, changedAt: Date.now() };
    this.#writer.put(this.draft);
    this.#setSaved();
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#read(text));
    this.schedule();
  }

  /** Change the text by an edit of the canvas; a refused edit shows its reason and changes nothing. */
  change(act: (text: string) => string, series = false): boolean {
    const { store } = this.#options;
    this.#read(this.text);
    const { fault, readOnly } = store.getState();
    const stopped = readOnly ?? (fault && say("builder.faulty", { line: fault.line }));
    if (stopped) return this.refuse(stopped);
    try {
      const next = act(this.text);
      store.setState({ notice: undefined });
      this.#editor?.apply(next, series);
      this.#read(this.text);
      this.#parseLater();
      return true;
    } catch (raised) {
      if (!(raised instanceof EditRefused)) throw raised;
      return this.refuse(raised.message);
    }
  }

  /** Say why an edit was not made. */
  refuse(reason: string): false {
    this.#options.store.setState({ notice: reason });
    return false;
  }

  undo(): void {
    if (this.#editor) undo(this.#editor.view);
  }

  redo(): void {
    if (this.#editor) redo(this.#editor.view);
  }

  /** Show a place of the document in the editor. */
  reveal(place: Place, focus: boolean): void {
    const range = rangeOf(this.#options.store.getState().source, place);
    if (range) this.#editor?.show(range.from, range.to, focus);
  }

  /** Continue from another stored version. */
  rebase(name: string, base: Base): void {
    this.draft = { ...this.draft, workflow: name, base, name, changedAt: Date.now() };
    this.#writer.put(this.draft);
    this.#setSaved(base.version);
  }

  close(): void {
    clearTimeout(this.#timer);
    cancelAnimationFrame(this.#frame);
    this.#checking?.abort();
    this.#editor = undefined;
    // The lock is kept until the last state is written.
    void this.#writer.settled().then(this.#options.release);
  }

  async settled(): Promise<void> {
    await this.#writer.settled();
  }

  /** Say that the text could not be stored. */
  refused(reason: string): void {
    this.#options.store.setState({ save: { word: "refused", reason } });
  }

  /** Check the text soon. */
  schedule(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#check(), CHECK_AFTER_MS);
  }

  #read(text: string): void {
    const { store, read } = this.#options;
    if (store.getState().readOnly) return;
    const name = read(text);
    if (!name || name === this.draft.name) return;
    this.draft = { ...this.draft, name };
    this.#writer.put(this.draft);
  }

  /** Parse the trees of the text when the picture of an edit is drawn; the next edit needs them. */
  #parseLater(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => setTimeout(() => void parsed(this.text).documents));
  }

  #setSaved(saved?: number): void {
    const { base, text } = this.draft;
    const { store } = this.#options;
    if (base && base.text === this.text) {
      const word = saved === undefined ? "clean" : "saved";
      store.setState({ save: { word, version: base.version } });
    } else if (base || text) store.setState({ save: { word: "kept" } });
  }

  /** Ask the server for all that is wrong; older answers are dropped. */
  async #check(): Promise<void> {
    this.#checking?.abort();
    const checking = new AbortController();
    this.#checking = checking;
    const { text } = this;
    const { store, check } = this.#options;
    try {
      const findings = await check(text, checking.signal);
      if (this.#checking !== checking) return;
      store.setState({ findings, checked: text });
      this.#mark();
    } catch {
      // Without an answer the last findings stay; storing says what is wrong.
      if (this.#checking === checking) store.setState({ checked: undefined });
    }
  }

  #mark(): void {
    const editor = this.#editor;
    if (!editor) return;
    const { findings, source } = this.#options.store.getState();
    editor.mark(diagnosticsOf(findings, { editor, source }));
  }
}
