/** Positions of moved tasks, kept in the text where its format has a place for them. */

import { EditRefused, set, valueAt } from "./edits";
import { type Place, parsed } from "./source";
import { LAYOUT, type Position, type Workflow, workflowOf } from "./workflow";

type Json = Record<string, unknown>;

/** The place of the positions in the formats that have one; graph JSON has it in each node. */
function layoutPlace({ doc, format }: Workflow, ...key: string[]): Place {
  const path = { native: ["metadata", "annotations"], serverless: ["document", "metadata"] };
  const owner = format === "native" || format === "serverless" ? path[format] : ["metadata"];
  return { doc, path: [...owner, LAYOUT, ...key] };
}

/** Keep the positions of tasks, whole pixels, as annotations of the workflow. */
export function setPositions(text: string, positions: ReadonlyMap<string, Position>): string {
  const workflow = workflowOf(parsed(text));
  if (!workflow) throw new EditRefused("the text has no workflow");
  let result = text;
  for (const [key, { x, y }] of positions) {
    const [left, top] = [Math.round(x), Math.round(y)];
    if (workflow.format !== "graph") {
      result = set(result, layoutPlace(workflow, key), [left, top]);
      continue;
    }
    const nodes = (workflow.value.nodes ?? []) as Json[];
    const place = {
      doc: workflow.doc,
      path: ["nodes", nodes.findIndex((each) => each.id === key)],
    };
    const position = { doc: place.doc, path: [...place.path, "position"] };
    result = set(result, position, { x: left, y: top });
  }
  return result;
}

/** Whether the format has a place for positions. */
export function keepsPositions(workflow: Workflow): boolean {
  return workflow.format !== "states" && workflow.format !== "unknown";
}

function layoutOf(workflow: Workflow): Json {
  return (valueAt(workflow.value, layoutPlace(workflow).path) ?? {}) as Json;
}

export function forgetPositions(
  text: string,
  workflow: Workflow,
  gone: (key: string) => boolean,
): string {
  const all = Object.keys(layoutOf(workflow));
  const left = all.filter((key) => !gone(key));
  if (left.length === all.length) return text;
  if (left.length === 0) return clearPositions(text);
  return all
    .filter(gone)
    .reduce((result, key) => set(result, layoutPlace(workflow, key), undefined), text);
}

/** Remove all positions, so that the layout is made anew. */
export function clearPositions(text: string): string {
  const workflow = workflowOf(parsed(text));
  if (!workflow || Object.keys(layoutOf(workflow)).length === 0) return text;
  const place = layoutPlace(workflow);
  const owner = { doc: place.doc, path: place.path.slice(0, -1) };
  const alone = Object.keys(valueAt(workflow.value, owner.path) as Json).length === 1;
  return set(text, alone ? owner : place, undefined);
}

export function movePositions(text: string, from: string, to: string): string {
  const workflow = workflowOf(parsed(text));
  if (!workflow) return text;
  let result = text;
  for (const [key, position] of Object.entries(layoutOf(workflow))) {
    const next = key
      .split("/")
      .map((each) => (each === from ? to : each))
      .join("/");
    if (next === key) continue;
    result = set(result, layoutPlace(workflow, next), position);
    result = set(result, layoutPlace(workflow, key), undefined);
  }
  return result;
}
