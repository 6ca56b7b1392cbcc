/** Marks and texts of nodes on a canvas. */

import { CIRCLE, GLYPHS, KINDS, ROUND } from "@/model/glyphs";
import { NODE_HEIGHT } from "@/model/layout";
import type { Glyph } from "@/model/status";
import type { Colours } from "./palette";

/** A dot on the edge that leads into a node: it stops there. */
export function breakpoint(
  context: CanvasRenderingContext2D,
  colours: Colours,
  x: number,
  y: number,
) {
  context.beginPath();
  context.arc(x, y + NODE_HEIGHT / 2, 5, 0, 2 * Math.PI);
  context.fillStyle = colours.family.attention;
  context.fill();
  context.strokeStyle = colours.frame;
  context.lineWidth = 1.5;
  context.stroke();
}

/** Two half-moons: the left execution's status and the right one's. */
export function halves(
  context: CanvasRenderingContext2D,
  left: string,
  right: string,
  x: number,
  y: number,
): void {
  const middle = y + NODE_HEIGHT / 2;
  for (const [colour, side] of [
    [left, -1],
    [right, 1],
  ] as const) {
    context.beginPath();
    context.arc(x + side, middle, 7, -Math.PI / 2, Math.PI / 2, side < 0);
    context.closePath();
    context.fillStyle = colour;
    context.fill();
  }
}

const paths = new Map<Glyph, Path2D>();

export function glyph(
  context: CanvasRenderingContext2D,
  name: Glyph,
  x: number,
  y: number,
  colour: string,
): void {
  const path = paths.get(name) ?? new Path2D(`${GLYPHS[name]}${ROUND.has(name) ? CIRCLE : ""}`);
  paths.set(name, path);
  drawn(context, path, x, y, colour, name === "dots" ? 2.6 : 1.9);
}

const kinds = new Map<string, Path2D>();

/** The mark of a kind of task; returns whether it has one. */
export function kindMark(
  context: CanvasRenderingContext2D,
  type: string,
  x: number,
  y: number,
  colour: string,
): boolean {
  const form = KINDS[type];
  if (!form) return false;
  const path = kinds.get(type) ?? new Path2D(form);
  kinds.set(type, path);
  drawn(context, path, x, y, colour, 1.4);
  return true;
}

function drawn(
  context: CanvasRenderingContext2D,
  path: Path2D,
  x: number,
  y: number,
  colour: string,
  width: number,
): void {
  context.save();
  context.translate(x, y);
  context.scale(0.9, 0.9);
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.lineCap = "round";
  context.lineJoin = "round";
  context.stroke(path);
  context.restore();
}

const widths = new Map<string, string>();
const WIDTHS_MAX = 20_000;

/** The text cut to a width; in the middle, because ids often differ at their ends. */
export function fitted(
  context: CanvasRenderingContext2D,
  text: string,
  width: number,
  cut: "middle" | "end" = "middle",
): string {
  const key = `${cut}|${context.font}|${Math.round(width)}|${text}`;
  const known = widths.get(key);
  if (known !== undefined) return known;
  if (widths.size > WIDTHS_MAX) widths.clear();
  let shown = text;
  if (context.measureText(text).width > width) {
    let low = 0;
    let high = text.length;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (context.measureText(shortened(text, middle, cut)).width <= width) low = middle;
      else high = middle - 1;
    }
    shown = shortened(text, low, cut);
  }
  widths.set(key, shown);
  return shown;
}

/** As many letters of a text as are wanted. */
function shortened(text: string, letters: number, cut: "middle" | "end"): string {
  const last = cut === "middle" ? letters >> 1 : 0;
  return `${text.slice(0, letters - last)}…${last ? text.slice(-last) : ""}`;
}
