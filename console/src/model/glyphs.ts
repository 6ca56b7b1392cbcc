/** The forms of status marks, in a square of 16. */

import type { Glyph } from "./status";

export const GLYPHS: Record<Glyph, string> = {
  ring: "M8 2.5a5.5 5.5 0 1 1-5.5 5.5",
  tick: "M3.5 8.5l3 3 6-7",
  cross: "M4 4l8 8M12 4l-8 8",
  hand: "M8 4.6v4M8 11.2v.2",
  clock: "M8 4.6V8l2.4 1.6",
  back: "M12.5 11.5a4 4 0 0 0-4-5H4M6.5 3.5l-3 3 3 3",
  dots: "M4 8h.01M8 8h.01M12 8h.01",
  box: "M3.5 4.5h9v7h-9z",
  bars: "M6.3 5.6v4.8M9.7 5.6v4.8",
  dash: "M5 8h6",
  strike: "M4.2 11.8l7.6-7.6",
};

/** Forms that stand in a circle. */
export const ROUND: ReadonlySet<Glyph> = new Set(["hand", "clock", "strike", "bars", "dash"]);
export const CIRCLE = "M8 1.8a6.2 6.2 0 1 0 0 12.4a6.2 6.2 0 1 0 0-12.4";

/** Marks of the kinds of tasks that Flowmesh runs itself; the others have none. */
export const KINDS: Readonly<Record<string, string>> = {
  approval:
    "M3 12.5h10M8 3.2a2.1 2.1 0 1 0 0 4.2a2.1 2.1 0 1 0 0-4.2M4.5 12.5c0-2.4 1.5-3.6 3.5-3.6s3.5 1.2 3.5 3.6",
  condition: "M8 2.5l5.5 5.5L8 13.5L2.5 8z",
  decision: "M8 2.5l5.5 5.5L8 13.5L2.5 8z",
  delay:
    "M4.5 2.5h7M4.5 13.5h7M5.5 2.5c0 4 5 3.5 5 5.5s-5 1.5-5 5.5M10.5 2.5c0 4-5 3.5-5 5.5s5 1.5 5 5.5",
  group: "M3 3h4v4H3zM9 3h4v4H9zM3 9h4v4H3zM9 9h4v4H9z",
  loop: "M12.5 8a4.5 4.5 0 1 1-1.5-3.300M11.5 2v3h-3",
  map: "M3 4h10M3 8h10M3 12h10",
  signal:
    "M8 8h.01M5.5 10.5a3.5 3.5 0 0 1 0-5M10.5 5.5a3.5 3.5 0 0 1 0 5M3.5 12.5a6.300 6.300 0 0 1 0-9M12.5 3.5a6.300 6.300 0 0 1 0 9",
  subworkflow: "M3 3h10v10H3zM6 6h4v4H6z",
  transform: "M3 5.5h9M9.5 3l2.5 2.5L9.5 8M13 11H4M6.5 8.5L4 11l2.5 2.5",
};
