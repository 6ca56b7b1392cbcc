/** The part of a file with several workflows that is the text of one of them. */

import { parsed } from "./source";

interface Resource {
  kind?: unknown;
  metadata?: { name?: unknown };
}

/** The document of a workflow if the text has others beside it; the whole text otherwise. */
export function partOf(text: string, name: string): string {
  const source = parsed(text);
  const values = source.values as (Resource | null)[];
  const places = values.flatMap((each, place) => (each?.kind === "Workflow" ? [place] : []));
  if (source.json || source.faults.length > 0 || places.length < 2) return text;
  const own = places.find((place) => values[place]?.metadata?.name === name);
  const range = own === undefined ? undefined : source.documents[own]?.range;
  if (!range) return text;
  const found = text.slice(range[0], range[2]).replace(/^\s*---[^\n]*\n/, "");
  return `${found.replace(/\n(---|\.\.\.)\s*$/, "\n").trimEnd()}\n`;
}
