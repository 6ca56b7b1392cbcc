/** The draft of this tab: found again, copied from one of another tab, or begun. */

import { useCallback, useEffect, useState } from "react";
import { readSource, type Stored } from "@/api/definitions";
import { preferences } from "@/app/preferences";
import { type Draft, drafts as draftsOf, FORM, hold, putDraft } from "@/text/drafts";
import { parsed } from "@/text/source";
import { workflowOf } from "@/text/workflow";
import { EDITED_CHARACTERS_MAX, Session } from "./session";

export interface Opened {
  session: Session;
  /** Whether a draft with changes was found again. */
  restored: boolean;
  /** The stored version, if it is newer than the one the draft began from. */
  newer: Stored | undefined;
}

export function newDraft(text: string, workflow: string, base: Stored | undefined): Draft {
  return {
    id: crypto.randomUUID(),
    form: FORM,
    namespace: preferences.getState().namespace,
    workflow,
    name: workflow || nameIn(text),
    text,
    base,
    changedAt: Date.now(),
  };
}

function nameIn(text: string): string {
  return text.length > EDITED_CHARACTERS_MAX ? "" : (workflowOf(parsed(text))?.name ?? "");
}

/** Open a draft by id, or the newest of a workflow that no other tab has; or begin one. */
export async function openDraft(id: string | undefined, workflow: string): Promise<Opened> {
  const all = await known();
  const wanted = id ? all.filter((each) => each.id === id) : ofWorkflow(all, workflow);
  const stored = workflow ? await readSource(workflow) : undefined;
  for (const draft of wanted) {
    const release = await hold(draft.id);
    if (release) return found(draft, release, stored);
  }
  const other = id ? wanted[0] : undefined;
  // Another tab has this draft: this one continues a copy, so neither overwrites the other.
  const copy = other
    ? { ...other, id: crypto.randomUUID(), changedAt: Date.now() }
    : newDraft(stored?.text ?? "", workflow, stored);
  const release = (await hold(copy.id)) ?? (() => {});
  if (other) await putDraft(copy);
  return found(copy, release, stored);
}

async function known(): Promise<Draft[]> {
  try {
    return await draftsOf(preferences.getState().namespace);
  } catch {
    return [];
  }
}

function ofWorkflow(all: readonly Draft[], workflow: string): Draft[] {
  return all.filter((each) => each.workflow === workflow && workflow && isChanged(each));
}

export function isChanged(draft: Draft): boolean {
  return draft.text !== draft.base?.text;
}

function found(draft: Draft, release: () => void, stored: Stored | undefined): Opened {
  const changed = isChanged(draft);
  const other = stored && stored.digest !== draft.base?.digest ? stored : undefined;
  // A draft without changes follows the stored version.
  const current = other && !changed ? { ...draft, text: other.text, base: other } : draft;
  const restored = changed && draft.base !== undefined;
  return {
    session: new Session(current, release),
    restored: restored || (changed && !draft.workflow && draft.changedAt < Date.now() - 2_000),
    newer: changed ? other : undefined,
  };
}

/** Drafts of this browser with changes that are not stored. */
export function useDrafts(): { drafts: readonly Draft[]; refresh: () => void } {
  const [drafts, setDrafts] = useState<readonly Draft[]>([]);
  const refresh = useCallback(() => {
    void known().then((all) => setDrafts(all.filter(isChanged)));
  }, []);
  useEffect(refresh, [refresh]);
  return { drafts, refresh };
}
