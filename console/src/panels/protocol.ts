/** The messages between a page of the console and the panel of a plugin in its frame. */

import { read } from "@/api/client";
import { asProblem } from "@/api/problems";
import type { PanelValue } from "@/api/schema";

export const PROTOCOL = 1;
/** A panel may load itself anew this often; then its frame stays empty. */
const PAGES_MAX = 5;
const OPEN_READS_MAX = 4;
const HEIGHT_MAX = 2_000;
const HEIGHT_MIN = 80;

type Read = PanelValue["reads"][number];

/** The object of the page that has the panel. */
export interface Shown {
  place: PanelValue["places"][number];
  executionId?: string;
  workflow?: string | undefined;
}

interface Asked {
  flowmesh: typeof PROTOCOL;
  type: "empty" | "hello" | "read" | "height";
  id?: number;
  read?: string;
  height?: number;
}

interface Frame {
  page: string;
  shown: Shown;
  reads: readonly Read[];
  post: (message: object) => void;
  resize: (height: number) => void;
}

/**
 * Returns the listener of one frame. A panel names kinds of values only: which object they are of
 * is the choice of the page, and the session that reads them never reaches the frame.
 */
export function listener({ page, shown, reads, post, resize }: Frame): (data: unknown) => void {
  let pages = 0;
  let open = 0;
  const answer = async ({ id, read: asked }: Asked) => {
    const refuse = (problem: string) => reply({ type: "refused", id, problem });
    const found = reads.find((each) => each === asked);
    if (!found) return refuse(`the plugin has no permission: read ${String(asked).slice(0, 80)}`);
    if (open >= OPEN_READS_MAX) return refuse(`more than ${OPEN_READS_MAX} reads at once`);
    const values = valuesOf(found, shown);
    if (!values) return refuse(`this page has no ${found}`);
    open += 1;
    try {
      reply({ type: "value", id, value: await values });
    } catch (raised) {
      refuse(asProblem(raised).message);
    } finally {
      open -= 1;
    }
  };
  const reply = (message: object) => post({ flowmesh: PROTOCOL, ...message });
  return (data) => {
    if (!isAsked(data)) return;
    if (data.type === "empty" && pages < PAGES_MAX) {
      pages += 1;
      post({ page });
    } else if (data.type === "hello") {
      reply({ type: "shown", ...shown, reads, theme: document.documentElement.dataset.theme });
    } else if (data.type === "read") {
      void answer(data);
    } else if (data.type === "height" && typeof data.height === "number") {
      resize(Math.min(Math.max(data.height, HEIGHT_MIN), HEIGHT_MAX));
    }
  };
}

function isAsked(data: unknown): data is Asked {
  return typeof data === "object" && data !== null && (data as Asked).flowmesh === PROTOCOL;
}

/** The value of a kind that is of the shown object; `undefined` if the page has none. */
function valuesOf(kind: Read, { executionId, workflow }: Shown): Promise<unknown> | undefined {
  if (kind === "workflow") {
    return workflow ? read("/api/v1/workflows/{name}", { path: { name: workflow } }) : undefined;
  }
  if (!executionId) return undefined;
  const path = { executionId };
  switch (kind) {
    case "execution":
      return read("/api/v1/executions/{executionId}", { path });
    case "state":
      return read("/api/v1/executions/{executionId}/state", { path });
    case "history":
      return read("/api/v1/executions/{executionId}/history", { path });
  }
}
