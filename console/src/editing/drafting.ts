/** The draft of this tab: found again, copied from one of another tab, or begun. */

import { useCallback, useEffect, useState } from "react";
import { preferences } from "@/app/preferences";
import {
  type Base,
  type Draft,
  type DraftKind,
  drafts as draftsOf,
  FORM,
  hold,
  putDraft,
} from "@/text/drafts";

/** A draft that this tab holds. */
export interface Held<B extends Base> {
  draft: Draft;
  release: () => void;
  /** Whether a draft with changes was found again. */
  restored: boolean;
  /** The stored version, if it is newer than the one the draft began from. */
  newer: B | undefined;
}

export interface Begun {
  text: string;
  /** The stored workflow or application; empty for a new one. */
  stored: string;
  name: string;
  base: Base | undefined;
  kind?: DraftKind | undefined;
}

export function draftOf({ text, stored, name, base, kind }: Begun): Draft {
  return {
    id: crypto.randomUUID(),
    form: FORM,
    namespace: preferences.getState().namespace,
    ...(kind ? { kind } : {}),
    workflow: stored,
    name,
    text,
    base,
    changedAt: Date.now(),
  };
}

export interface Wanted<B extends Base> {
  id: string | undefined;
  /** The stored workflow or application; empty for a new one. */
  stored: string;
  kind?: DraftKind | undefined;
  read: (stored: string) => Promise<B>;
}

/** Open a draft by id, or the newest of a stored one that no other tab has; or begin one. */
export async function heldDraft<B extends Base>(wanted: Wanted<B>): Promise<Held<B>> {
  const { id, stored: name, kind } = wanted;
  const all = await known(kind);
  const found = id
    ? all.filter((each) => each.id === id)
    : all.filter((each) => name && each.workflow === name && isChanged(each));
  const stored = name ? await wanted.read(name) : undefined;
  for (const draft of found) {
    const release = await hold(draft.id);
    if (release) return held(draft, release, stored);
  }
  const other = id ? found[0] : undefined;
  // Another tab has this draft: this one continues a copy, so neither overwrites the other.
  const copy = other
    ? { ...other, id: crypto.randomUUID(), changedAt: Date.now() }
    : draftOf({ text: stored?.text ?? "", stored: name, name, base: stored, kind });
  const release = (await hold(copy.id)) ?? (() => {});
  if (other) await putDraft(copy);
  return held(copy, release, stored);
}

async function known(kind: DraftKind | undefined): Promise<Draft[]> {
  try {
    return await draftsOf(preferences.getState().namespace, kind);
  } catch {
    return [];
  }
}

export function isChanged(draft: Draft): boolean {
  return draft.text !== draft.base?.text;
}

function held<B extends Base>(draft: Draft, release: () => void, stored: B | undefined): Held<B> {
  const changed = isChanged(draft);
  const other = stored && stored.digest !== draft.base?.digest ? stored : undefined;
  const restored = changed && draft.base !== undefined;
  return {
    // A draft without changes follows the stored version.
    draft: other && !changed ? { ...draft, text: other.text, base: other } : draft,
    release,
    restored: restored || (changed && !draft.workflow && draft.changedAt < Date.now() - 2_000),
    newer: changed ? other : undefined,
  };
}

/** Drafts of this browser with changes that are not stored. */
export function useDrafts(kind?: DraftKind): { drafts: readonly Draft[]; refresh: () => void } {
  const [drafts, setDrafts] = useState<readonly Draft[]>([]);
  const refresh = useCallback(() => {
    void known(kind).then((all) => setDrafts(all.filter(isChanged)));
  }, [kind]);
  useEffect(refresh, [refresh]);
  return { drafts, refresh };
}
