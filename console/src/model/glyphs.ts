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
  bars: "M6.3 5.6v4.8M9.7 5.6v4.8",
  dash: "M5 8h6",
  strike: "M4.2 11.8l7.6-7.6",
};

/** Forms that stand in a circle. */
export const ROUND: ReadonlySet<Glyph> = new Set(["hand", "clock", "strike", "bars", "dash"]);
export const CIRCLE = "M8 1.8a6.2 6.2 0 1 0 0 12.4a6.2 6.2 0 1 0 0-12.4";
