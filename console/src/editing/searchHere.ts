/** The search under the pointer: opened by a double click, a key, or an edge that ends on nothing. */

import { type RefObject, useRef, useState } from "react";
import { useKeys } from "@/app/keys";
import type { Position } from "@/text/workflow";
import { NODE } from "./nodeBox";

interface Client {
  clientX: number;
  clientY: number;
}

/** The corner of the search in the frame, the place of what it adds, and the box before it. */
export interface Here extends Position {
  at: Position;
  after: string | undefined;
}

const SIZE = { width: 240, height: 300 };

export function useSearchHere(
  frame: RefObject<HTMLDivElement | null>,
  enabled: boolean,
  within: (event: Client) => Position,
) {
  const [here, setHere] = useState<Here>();
  const pointer = useRef<Client>(undefined);
  const search = (event: Client | undefined, after?: string) => {
    const box = frame.current?.getBoundingClientRect();
    if (!enabled || !box) return;
    const client = event ?? { clientX: box.x + box.width / 2, clientY: box.y + box.height / 3 };
    const x = Math.max(0, Math.min(client.clientX - box.left, box.width - SIZE.width));
    const y = Math.max(0, Math.min(client.clientY - box.top, box.height - SIZE.height));
    const at = within(client);
    setHere({ x, y, after, at: { x: at.x - NODE.width / 2, y: at.y - NODE.height / 2 } });
  };
  useKeys("builder", { i: enabled ? () => search(pointer.current) : undefined });
  const events = {
    onPointerMove: ({ clientX, clientY }: Client) => {
      pointer.current = { clientX, clientY };
    },
    onPointerLeave: () => {
      pointer.current = undefined;
    },
    onDoubleClick: (event: Client & { target: EventTarget }) => {
      if (!(event.target as Element).closest("[data-task], [data-edge]")) search(event);
    },
  };
  return { here, search, events, close: () => setHere(undefined) };
}
