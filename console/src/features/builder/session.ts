/** The draft of a workflow: checked, analyzed and stored. */

import { createContext, useContext } from "react";
import { newKey } from "@/api/client";
import { analyze, readSource, type Stored, store, validate } from "@/api/definitions";
import { asProblem } from "@/api/problems";
import type { ProblemValue } from "@/api/schema";
import { DraftSession } from "@/editing/draftSession";
import { say } from "@/model/messages";
import type { Draft } from "@/text/drafts";
import { partOf } from "@/text/part";
import type { Place } from "@/text/source";
import { workflowOf } from "@/text/workflow";
import { placeOf, readText, useBuilder } from "./store";

export class Session extends DraftSession {
  #saving: { text: string; key: string } | undefined;

  constructor(draft: Draft, release: () => void) {
    super({ draft, release, store: useBuilder, read: readText, check: checked });
  }

  /** Change the shown list of tasks by an edit of the canvas. */
  edit(act: (text: string, place: Place) => string, series = false): boolean {
    if (!useBuilder.getState().readOnly) readText(this.text);
    const { fault, readOnly, ...state } = useBuilder.getState();
    const place = placeOf(state);
    if (!place && !fault && !readOnly) return this.refuse(say("builder.noTasks"));
    return this.change((text) => act(text, place ?? { doc: 0, path: [] }), series);
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
      this.refused(asProblem(raised).message);
      throw raised;
    }
  }

  async stored(): Promise<Stored> {
    const name = this.draft.workflow || (workflowOf(useBuilder.getState().source)?.name ?? "");
    const found = await readSource(name);
    return { ...found, text: partOf(found.text, name) };
  }
}

async function checked(text: string, signal: AbortSignal): Promise<readonly ProblemValue[]> {
  const { problems } = await validate(text, signal);
  if (needsAnalysis(problems)) {
    const analysis = await analyze(text, signal);
    useBuilder.setState({ analysis });
  }
  return problems;
}

/** Other formats are drawn by the graph that the server reads of them. */
function needsAnalysis(findings: readonly ProblemValue[]): boolean {
  const { workflow, fault, readOnly } = useBuilder.getState();
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
