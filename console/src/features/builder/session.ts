/** One draft that is edited: its editor, its record in the browser, its checks and its storage. */

import { redo, undo } from "@codemirror/commands";
import { createContext, useContext } from "react";
import { newKey } from "@/api/client";
import { analyze, readSource, type Stored, store, validate } from "@/api/definitions";
import { asProblem } from "@/api/problems";
import { say } from "@/model/messages";
import { type Draft, DraftWriter } from "@/text/drafts";
import type { TextEditor } from "@/text/editor";
import { EditRefused } from "@/text/edits";
import { type Place, rangeOf } from "@/text/source";
import { workflowOf } from "@/text/workflow";
import { diagnosticsOf } from "./diagnostics";
import { placeOf, readText, useBuilder } from "./store";

const CHECK_AFTER_MS = 300;
/** Longer texts are shown without a canvas of their own. */
export const EDITED_CHARACTERS_MAX = 600_000;

export class Session {
  draft: Draft;
  readonly #release: () => void;
  readonly #writer: DraftWriter;
  #editor: TextEditor | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #frame = 0;
  #checking: AbortController | undefined;
  #saving: { text: string; key: string } | undefined;

  constructor(draft: Draft, release: () => void) {
    this.draft = draft;
    this.#release = release;
    this.#writer = new DraftWriter((raised) =>
      this.#state(say("builder.notKept", { fault: String(raised) })),
    );
    const readOnly =
      draft.text.length > EDITED_CHARACTERS_MAX ? say("builder.tooLarge") : undefined;
    useBuilder.setState({ readOnly });
    if (!readOnly) readText(draft.text);
    this.#setSaved();
    this.#schedule();
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
    this.#schedule();
  }

  /** Change the text by an edit of the canvas; a refused one is said and changes nothing. */
  edit(act: (text: string, place: Place) => string, series = false): boolean {
    const { readOnly } = useBuilder.getState();
    if (!readOnly) readText(this.text);
    const { fault, ...state } = useBuilder.getState();
    const place = placeOf(state);
    const stopped = readOnly ?? (fault && say("builder.faulty", { line: fault.line }));
    if (stopped || !place) {
      useBuilder.setState({ notice: stopped ?? say("builder.noTasks") });
      return false;
    }
    try {
      const next = act(this.text, place);
      useBuilder.setState({ notice: undefined });
      this.#editor?.apply(next, series);
      cancelAnimationFrame(this.#frame);
      readText(this.text);
      return true;
    } catch (raised) {
      if (!(raised instanceof EditRefused)) throw raised;
      useBuilder.setState({ notice: raised.message });
      return false;
    }
  }

  undo(): void {
    if (this.#editor) undo(this.#editor.view);
  }

  redo(): void {
    if (this.#editor) redo(this.#editor.view);
  }

  /** Show a place of the document in the editor. */
  reveal(place: Place, focus: boolean): void {
    const range = rangeOf(useBuilder.getState().source, place);
    if (range) this.#editor?.show(range.from, range.to, focus);
  }

  /** Store the text; a version that was stored meanwhile raises and is not replaced. */
  async save(): Promise<void> {
    const text = this.text;
    // A repeat after a lost answer changes nothing.
    if (this.#saving?.text !== text) this.#saving = { text, key: newKey() };
    useBuilder.setState({ save: { word: "saving" } });
    try {
      const { readOnly, source } = useBuilder.getState();
      // The name in a text without a canvas is not read; it is that of the draft.
      const name = readOnly ? this.draft.workflow : (workflowOf(source)?.name ?? "");
      const same = name === this.draft.workflow;
      const applied = await store(
        text,
        same ? this.draft.base?.digest : undefined,
        this.#saving.key,
      );
      const made = applied.resources.find((each) => each.kind === "Workflow");
      if (!made) throw new Error(say("builder.noWorkflow"));
      this.#saving = undefined;
      this.rebase(made.name, { text, digest: made.digest, version: made.version });
      announce(made.name, this.draft.id);
    } catch (raised) {
      this.#state(asProblem(raised).message);
      throw raised;
    }
  }

  /** Continue from another stored version. */
  rebase(workflow: string, base: Stored): void {
    this.draft = { ...this.draft, workflow, base, name: workflow, changedAt: Date.now() };
    this.#writer.put(this.draft);
    this.#setSaved(base.version);
  }

  async stored(): Promise<Stored> {
    return readSource(
      this.draft.workflow || (workflowOf(useBuilder.getState().source)?.name ?? ""),
    );
  }

  close(): void {
    clearTimeout(this.#timer);
    cancelAnimationFrame(this.#frame);
    this.#checking?.abort();
    this.#editor = undefined;
    // The lock is kept until the last state is written.
    void this.#writer.settled().then(this.#release);
  }

  async settled(): Promise<void> {
    await this.#writer.settled();
  }

  #read(text: string): void {
    if (!useBuilder.getState().readOnly) readText(text);
  }

  #state(reason: string): void {
    useBuilder.setState({ save: { word: "refused", reason } });
  }

  #setSaved(saved?: number): void {
    const { base, text } = this.draft;
    if (base && base.text === this.text) {
      const word = saved === undefined ? "clean" : "saved";
      useBuilder.setState({ save: { word, version: base.version } });
    } else if (base || text) useBuilder.setState({ save: { word: "kept" } });
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#check(), CHECK_AFTER_MS);
  }

  /** Ask the server for all that is wrong; older answers are dropped. */
  async #check(): Promise<void> {
    this.#checking?.abort();
    const checking = new AbortController();
    this.#checking = checking;
    const { text } = this;
    try {
      const { problems } = await validate(text, checking.signal);
      if (this.#checking !== checking) return;
      useBuilder.setState({ findings: problems, checked: text });
      this.#mark();
      if (needsAnalysis()) {
        const analysis = await analyze(text, checking.signal);
        if (this.#checking === checking) useBuilder.setState({ analysis });
      }
    } catch {
      // Without an answer the last findings stay; saving says what is wrong.
      if (this.#checking === checking) useBuilder.setState({ checked: undefined });
    }
  }

  #mark(): void {
    const editor = this.#editor;
    if (!editor) return;
    const { findings, source, workflow } = useBuilder.getState();
    editor.mark(diagnosticsOf(findings, { editor, source, workflow }));
  }
}

/** Other formats are drawn by the graph that the server reads of them. */
function needsAnalysis(): boolean {
  const { workflow, fault, findings, readOnly } = useBuilder.getState();
  const native = workflow?.format === "native" && !readOnly;
  return !native && !fault && !findings.some((each) => each.severity === "error");
}

const CHANNEL = "flowmesh.drafts";

export interface Announced {
  workflow: string;
  draft: string;
}

/** Say to the other tabs that a version was stored. */
function announce(workflow: string, draft: string): void {
  const channel = new BroadcastChannel(CHANNEL);
  channel.postMessage({ workflow, draft } satisfies Announced);
  channel.close();
}

export function onAnnounced(listener: (said: Announced) => void): () => void {
  const channel = new BroadcastChannel(CHANNEL);
  channel.onmessage = (event) => listener(event.data as Announced);
  return () => channel.close();
}

const Context = createContext<Session | undefined>(undefined);
export const SessionProvider = Context.Provider;

export function useSession(): Session {
  const session = useContext(Context);
  if (!session) throw new Error("there is no draft");
  return session;
}
