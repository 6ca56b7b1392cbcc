/** Differences of two texts by line, and the merge of two changes of a third. */

import { diff3Merge, diffComm } from "node-diff3";

export interface Hunk {
  kind: "same" | "added" | "removed";
  lines: readonly string[];
}

export function differences(before: string, after: string): Hunk[] {
  const hunks: Hunk[] = [];
  for (const part of diffComm(before.split("\n"), after.split("\n"))) {
    if (part.common) hunks.push({ kind: "same", lines: part.common });
    else {
      if (part.buffer1?.length) hunks.push({ kind: "removed", lines: part.buffer1 });
      if (part.buffer2?.length) hunks.push({ kind: "added", lines: part.buffer2 });
    }
  }
  return hunks;
}

export type Part = { ok: string[] } | { conflict: { mine: string[]; theirs: string[] } };

/** The lines of both changes; where both changed the same, a choice. */
export function merged(mine: string, base: string, theirs: string): Part[] {
  const split = (text: string) => text.split("\n");
  const options = { excludeFalseConflicts: true };
  return diff3Merge(split(mine), split(base), split(theirs), options).map((each) =>
    each.ok
      ? { ok: each.ok }
      : { conflict: { mine: each.conflict?.a ?? [], theirs: each.conflict?.b ?? [] } },
  );
}

/** The text of a merge with the choice of each conflict in turn. */
export function joined(parts: readonly Part[], choices: readonly ("mine" | "theirs")[]): string {
  let conflict = 0;
  return parts
    .flatMap((part) => {
      if ("ok" in part) return part.ok;
      const choice = choices[conflict] ?? "mine";
      conflict += 1;
      return part.conflict[choice];
    })
    .join("\n");
}
