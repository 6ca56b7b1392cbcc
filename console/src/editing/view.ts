/** The part of the canvas that is seen: moved by pointer and wheel, scaled by pinch and buttons. */

import { type RefObject, useCallback, useEffect, useRef, useState } from "react";
import { NODE_HEIGHT, NODE_WIDTH } from "@/model/layout";
import type { Position } from "@/text/workflow";
import type { Placed } from "./placing";

const SCALE_MIN = 0.1;
const SCALE_MAX = 2;
const MARGIN = 40;

interface View {
  x: number;
  y: number;
  scale: number;
}

/** The seen part; it follows what is chosen, and shows all where nothing would be seen. */
export function useView(
  frame: RefObject<HTMLDivElement | null>,
  placed: Placed,
  chosen: string | undefined,
) {
  const [view, setView] = useState<View>({ x: MARGIN, y: MARGIN, scale: 1 });
  const touched = useRef(false);
  const touch = useCallback(() => {
    touched.current = true;
  }, []);
  const newest = useRef(placed);
  newest.current = placed;
  const pan = useCallback((dx: number, dy: number) => {
    setView((before) => ({ ...before, x: before.x + dx, y: before.y + dy }));
  }, []);
  const zoom = useCallback(
    (factor: number, px?: number, py?: number) => {
      setView((before) => {
        const scale = Math.min(SCALE_MAX, Math.max(SCALE_MIN, before.scale * factor));
        const x = px ?? (frame.current?.clientWidth ?? 0) / 2;
        const y = py ?? (frame.current?.clientHeight ?? 0) / 2;
        const ratio = scale / before.scale;
        return { scale, x: x - (x - before.x) * ratio, y: y - (y - before.y) * ratio };
      });
    },
    [frame],
  );
  const whole = useCallback(() => {
    const element = frame.current;
    if (!element) return;
    const { width, height } = newest.current;
    const wide = (element.clientWidth - 2 * MARGIN) / width;
    const high = (element.clientHeight - 2 * MARGIN) / height;
    const scale = Math.max(SCALE_MIN, Math.min(1, wide, high));
    setView({ scale, x: MARGIN, y: (element.clientHeight - height * scale) / 2 });
  }, [frame]);
  const looking = useRef(view);
  looking.current = view;
  const at = chosen === undefined ? undefined : placed.at.get(chosen);
  const { width, height } = placed;
  // biome-ignore lint/correctness/useExhaustiveDependencies: only another place is brought into view
  useEffect(() => {
    const element = frame.current;
    if (!element || !touched.current) return;
    const shown = { view: looking.current, frame: element };
    if (at) pan(...wayTo(at, shown));
    else if (![...newest.current.at.values()].some((each) => sees(each, shown))) whole();
  }, [at?.x, at?.y, width, height]);
  const begun = placed.at.size > 0;
  // All is shown until the reader moves or scales it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: another size is shown whole
  useEffect(() => {
    if (begun && !touched.current) whole();
  }, [begun, whole, width, height]);
  useEffect(() => {
    const element = frame.current;
    const turn = (event: WheelEvent) => {
      touched.current = true;
      event.preventDefault();
      const box = element?.getBoundingClientRect();
      if (!event.ctrlKey && !event.metaKey) return pan(-event.deltaX, -event.deltaY);
      const [x, y] = [event.clientX - (box?.left ?? 0), event.clientY - (box?.top ?? 0)];
      return zoom(Math.exp(-event.deltaY / 180), x, y);
    };
    element?.addEventListener("wheel", turn, { passive: false });
    return () => element?.removeEventListener("wheel", turn);
  }, [frame, pan, zoom]);
  return { view, pan, zoom, whole, touch };
}

interface Looking {
  view: View;
  frame: { clientWidth: number; clientHeight: number };
}

/** The pixels to pan so that a box is seen whole; none if it is. */
function wayTo({ x, y }: Position, { view, frame }: Looking): [dx: number, dy: number] {
  const along = (from: number, length: number, room: number) => {
    if (from < MARGIN) return MARGIN - from;
    return Math.min(0, room - MARGIN - from - length);
  };
  return [
    along(view.x + x * view.scale, NODE_WIDTH * view.scale, frame.clientWidth),
    along(view.y + y * view.scale, NODE_HEIGHT * view.scale, frame.clientHeight),
  ];
}

function sees(at: Position, { view, frame }: Looking): boolean {
  const [left, top] = [view.x + at.x * view.scale, view.y + at.y * view.scale];
  const right = left + NODE_WIDTH * view.scale;
  const bottom = top + NODE_HEIGHT * view.scale;
  return right > 0 && bottom > 0 && left < frame.clientWidth && top < frame.clientHeight;
}
