/** Paints the timeline of an execution: a row per task, its attempts as bars, its waits in pattern. */

import type { TaskTrace } from "@/api/schema";
import { duration } from "@/model/durations";
import { lookOf } from "@/model/status";
import { itemOf } from "@/model/trace";
import type { Colours } from "./palette";

export const ROW = 26;
export const NAMES = 190;
export const AXIS = 26;

export interface Window {
  from: number;
  to: number;
}

export interface TimelineScene {
  tasks: readonly TaskTrace[];
  window: Window;
  /** End of the execution, or now, in milliseconds since its start. */
  end: number;
  /** The moment up to which the waits were read, in milliseconds since the start. */
  readMs: number;
  scroll: number;
  colours: Colours;
  selected: string | undefined;
  statusOf: (id: string) => string;
  /** The moment in milliseconds since the start, if it is not now. */
  cursor: number | undefined;
}

/** Where names begin, and the gap before the item of a map, in pixels. */
const NAME_LEFT = 24;
const ITEM_GAP = 5;
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500];
const TICKS = 7;
/** Room for the text of a tick, in pixels. */
const TICK_PX = 70;

export function paintTimeline(
  context: CanvasRenderingContext2D,
  scene: TimelineScene,
  width: number,
  height: number,
): void {
  const scale = (width - NAMES - 16) / Math.max(0.001, scene.window.to - scene.window.from);
  const place = (ms: number) => NAMES + (ms - scene.window.from) * scale;
  axis(context, scene, place, width, height);
  const first = Math.floor(scene.scroll / ROW);
  const last = Math.min(scene.tasks.length, Math.ceil((scene.scroll + height - AXIS) / ROW) + 1);
  context.save();
  context.beginPath();
  context.rect(0, AXIS, width, height - AXIS);
  context.clip();
  for (let row = Math.max(0, first); row < last; row += 1) {
    const task = scene.tasks[row];
    if (task) paintRow(context, scene, task, AXIS + row * ROW - scene.scroll, place, width);
  }
  context.restore();
  if (scene.cursor !== undefined) {
    // What comes later than the moment is faint.
    context.globalAlpha = 0.72;
    context.fillStyle = scene.colours.surface;
    const from = Math.max(NAMES, place(scene.cursor));
    context.fillRect(from, AXIS, width - from, height - AXIS);
    context.globalAlpha = 1;
    context.strokeStyle = scene.colours.accent;
    context.lineWidth = 1.5;
    line(context, place(scene.cursor), 0, place(scene.cursor), height);
  }
}

type Place = (ms: number) => number;

function axis(
  context: CanvasRenderingContext2D,
  { window, colours }: TimelineScene,
  place: Place,
  width: number,
  height: number,
): void {
  const ticks = Math.max(1, Math.min(TICKS, (width - NAMES) / TICK_PX));
  const step = tickStep((window.to - window.from) / ticks);
  context.font = "400 11px 'Inter Variable'";
  context.textAlign = "center";
  for (let at = Math.ceil(window.from / step) * step; at <= window.to; at += step) {
    const x = Math.round(place(at)) + 0.5;
    if (x < NAMES || x > width) continue;
    context.strokeStyle = colours.line;
    context.lineWidth = 1;
    line(context, x, AXIS - 4, x, height);
    context.fillStyle = colours.muted;
    context.fillText(at === 0 ? "0" : `+${duration(at)}`, x, 16);
  }
  context.textAlign = "start";
  context.strokeStyle = colours.line;
  line(context, 0, AXIS - 0.5, width, AXIS - 0.5);
}

/** A round step of time that is at least as long as wanted. */
export function tickStep(wanted: number): number {
  const units = [1, 1_000, 60_000, 3_600_000, 86_400_000];
  for (const unit of units) {
    for (const step of STEPS) {
      if (unit > 1 && unit < 86_400_000 && step > 30) break;
      if (step * unit >= wanted) return step * unit;
    }
  }
  return 500 * 86_400_000;
}

function paintRow(
  context: CanvasRenderingContext2D,
  scene: TimelineScene,
  task: TaskTrace,
  y: number,
  place: Place,
  width: number,
): void {
  const { colours, selected } = scene;
  if (selected === task.id) {
    context.fillStyle = colours.selected;
    context.fillRect(0, y, width, ROW);
  }
  paintName(context, task, y, colours);
  context.save();
  context.beginPath();
  context.rect(NAMES, y, width - NAMES, ROW);
  context.clip();
  paintWaits(context, scene, task, y, place);
  const colour = colours.family[lookOf(scene.statusOf(task.id)).family];
  task.attempts.forEach((attempt, index) => {
    const from = attempt.startedMs ?? attempt.readyMs;
    const to = attempt.endedMs ?? scene.end;
    const failed = attempt.error !== undefined;
    const shown = failed ? colours.family.failed : colour;
    bar(
      context,
      place(from),
      place(to),
      y + 6,
      ROW - 12,
      shown,
      failed && index < task.attempts.length - 1,
      colours,
    );
  });
  if (task.attempts.length === 0 && task.startedMs !== undefined) {
    bar(
      context,
      place(task.startedMs),
      place(task.endedMs ?? scene.end),
      y + 6,
      ROW - 12,
      colour,
      false,
      colours,
    );
  }
  if (task.critical && task.startedMs !== undefined) {
    context.fillStyle = colours.text;
    const from = place(task.startedMs);
    context.fillRect(from, y + ROW - 5, Math.max(2, place(task.endedMs ?? scene.end) - from), 1.5);
  }
  context.restore();
}

/** The name, and the item of a map behind it, which a long name does not hide. */
function paintName(
  context: CanvasRenderingContext2D,
  { id, name }: TaskTrace,
  y: number,
  colours: Colours,
): void {
  context.font = "400 12px 'Inter Variable'";
  const item = itemOf(id);
  const room = NAMES - 10 - NAME_LEFT - (item ? context.measureText(item).width + ITEM_GAP : 0);
  context.save();
  context.beginPath();
  context.rect(NAME_LEFT, y, room, ROW);
  context.clip();
  context.fillStyle = colours.text;
  context.fillText(name, NAME_LEFT, y + 17);
  context.restore();
  const end = NAME_LEFT + Math.min(room, context.measureText(name).width);
  context.fillStyle = colours.muted;
  context.fillText(item, end + ITEM_GAP, y + 17);
}

/** Waits, thin and grey; those for a decision have the height of a run. An open one grows. */
function paintWaits(
  context: CanvasRenderingContext2D,
  { colours, end, readMs }: TimelineScene,
  task: TaskTrace,
  y: number,
  place: Place,
): void {
  for (const { reason, fromMs, toMs } of task.waits) {
    if (reason === "dependency") continue;
    const to = place(task.endedMs === undefined && toMs >= readMs ? end : toMs);
    if (reason === "people") {
      const colour = colours.family.attention;
      bar(context, place(fromMs), to, y + 6, ROW - 12, colour, true, colours);
    } else {
      bar(context, place(fromMs), to, y + 10, 6, colours.line, true, colours);
    }
  }
}

function bar(
  context: CanvasRenderingContext2D,
  from: number,
  to: number,
  y: number,
  height: number,
  colour: string,
  striped: boolean,
  colours: Colours,
): void {
  const width = Math.max(2.5, to - from);
  context.beginPath();
  context.roundRect(from, y, width, height, Math.min(3, width / 2));
  context.globalAlpha = 0.82;
  context.fillStyle = colour;
  context.fill();
  context.globalAlpha = 1;
  if (!striped || width < 8) return;
  context.save();
  context.clip();
  context.strokeStyle = colours.surface;
  context.globalAlpha = 0.6;
  context.lineWidth = 2;
  for (let x = from - height; x < from + width; x += 7) line(context, x, y + height, x + height, y);
  context.restore();
}

function line(
  context: CanvasRenderingContext2D,
  x: number,
  y: number,
  toX: number,
  toY: number,
): void {
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(toX, toY);
  context.stroke();
}
