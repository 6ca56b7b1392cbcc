/** The draft of a workflow in this tab. */

import { readSource, type Stored } from "@/api/definitions";
import { draftOf, type Held, heldDraft } from "@/editing/drafting";
import { EDITED_CHARACTERS_MAX } from "@/editing/draftSession";
import type { Draft } from "@/text/drafts";
import { partOf } from "@/text/part";
import { parsed } from "@/text/source";
import { workflowOf } from "@/text/workflow";
import { Session } from "./session";

export interface Opened extends Pick<Held<Stored>, "restored" | "newer"> {
  session: Session;
}

export function newDraft(text: string, workflow: string, base: Stored | undefined): Draft {
  return draftOf({ text, stored: workflow, name: workflow || nameIn(text), base });
}

function nameIn(text: string): string {
  return text.length > EDITED_CHARACTERS_MAX ? "" : (workflowOf(parsed(text))?.name ?? "");
}

/** A stored text; of a file with several workflows the part that is this one. */
async function own(name: string): Promise<Stored> {
  const stored = await readSource(name);
  return { ...stored, text: partOf(stored.text, name) };
}

export async function openDraft(id: string | undefined, workflow: string): Promise<Opened> {
  const held = await heldDraft({ id, stored: workflow, read: own });
  const { draft, release, restored, newer } = held;
  return { session: new Session(draft, release), restored, newer };
}
