/** Paints the strip of the scrubber: density of events, marks of what matters, the handle. */

import type { FeedEvent } from "@/api/feed";
import type { Colours } from "@/canvas/palette";
import { shareOf, type Track } from "@/model/playback";
import type { Family } from "@/model/status";

export const PAD = 8;
const BAR_BOTTOM = 6;
const MARKS: Record<string, Family> = {
  TaskFailed: "failed",
  WorkflowFailed: "failed",
  TaskRetrying: "attention",
  TaskHeld: "attention",
  BreakpointReached: "attention",
  WorkflowPaused: "neutral",
  WorkflowResumed: "neutral",
  SignalReceived: "running",
  NodeSteered: "running",
  ApprovalRequested: "attention",
  ApprovalDecided: "running",
  CompensationStarted: "undoing",
};

export interface StripScene {
  events: readonly FeedEvent[];
  track: Track;
  index: number;
  colours: Colours;
}

export function paintStrip(
  context: CanvasRenderingContext2D,
  { events, track, index, colours }: StripScene,
  width: number,
  height: number,
): void {
  const place = (each: number) => PAD + shareOf(track, each) * (width - 2 * PAD);
  const columns = new Uint32Array(Math.max(1, Math.ceil(width / 3)));
  let most = 1;
  for (let each = 0; each < events.length; each += 1) {
    const column = Math.min(columns.length - 1, Math.floor(place(each) / 3));
    columns[column] = (columns[column] as number) + 1;
    most = Math.max(most, columns[column] as number);
  }
  const handle = place(index);
  const ground = height - BAR_BOTTOM;
  for (let column = 0; column < columns.length; column += 1) {
    const count = columns[column] as number;
    if (count === 0) continue;
    const tall = 3 + (Math.log1p(count) / Math.log1p(most)) * (ground - 16);
    context.fillStyle = column * 3 <= handle ? colours.accent : colours.lineStrong;
    context.globalAlpha = column * 3 <= handle ? 0.75 : 0.45;
    context.fillRect(column * 3, ground - tall, 2, tall);
  }
  context.globalAlpha = 1;
  context.fillStyle = colours.line;
  context.fillRect(PAD, ground + 1, width - 2 * PAD, 2);
  context.fillStyle = colours.accent;
  context.fillRect(PAD, ground + 1, Math.max(0, handle - PAD), 2);
  notches(context, track, colours, place, ground);
  for (let each = 0; each < events.length; each += 1) {
    const family = MARKS[events[each]?.type ?? ""];
    if (family) mark(context, colours.family[family], place(each), family === "failed");
  }
  knob(context, colours, handle, ground);
}

function notches(
  context: CanvasRenderingContext2D,
  track: Track,
  colours: Colours,
  place: (each: number) => number,
  ground: number,
): void {
  context.strokeStyle = colours.muted;
  context.lineWidth = 1;
  for (const each of track.notches) {
    const x = (place(each - 1) + place(each)) / 2;
    context.clearRect(x - 3, ground - 2, 6, 7);
    context.beginPath();
    for (const shift of [-3, 2]) {
      context.moveTo(x + shift - 1.5, ground + 6);
      context.lineTo(x + shift + 1.5, ground - 3);
    }
    context.stroke();
  }
}

/** A failure is a diamond, everything else a dot, so that colour is not alone. */
function mark(context: CanvasRenderingContext2D, colour: string, x: number, sharp: boolean): void {
  context.beginPath();
  if (sharp) {
    context.moveTo(x, 1);
    context.lineTo(x + 4, 5.5);
    context.lineTo(x, 10);
    context.lineTo(x - 4, 5.5);
    context.closePath();
  } else {
    context.arc(x, 5.5, 2.6, 0, 2 * Math.PI);
  }
  context.fillStyle = colour;
  context.fill();
}

function knob(
  context: CanvasRenderingContext2D,
  colours: Colours,
  x: number,
  ground: number,
): void {
  context.fillStyle = colours.accent;
  context.fillRect(x - 1, 0, 2, ground + 3);
  context.beginPath();
  context.arc(x, ground + 2, 5, 0, 2 * Math.PI);
  context.fill();
  context.strokeStyle = colours.surface;
  context.lineWidth = 1.5;
  context.stroke();
}
