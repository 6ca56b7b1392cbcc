/** The time of an execution as it is played: each event has a place, long idle stretches fold. */

/** Multiples of the time of the execution; the small ones are for executions shorter than a blink. */
export const SPEEDS = [0.01, 0.1, 1, 10, 100] as const;
export type Speed = (typeof SPEEDS)[number];

/** An idle stretch longer than this, as it is played, is folded to a notch of the other length. */
const IDLE_MS = 2_000;
const NOTCH_MS = 400;

export interface Track {
  /** The place of each event in milliseconds of the execution, without what is folded. */
  places: Float64Array;
  /** Indexes of the events before which an idle stretch is folded. */
  notches: number[];
  length: number;
}

/** Place events by their times; `folded` cuts idle stretches to a notch. */
export function trackOf(times: ArrayLike<number>, speed: Speed, folded: boolean): Track {
  const places = new Float64Array(times.length);
  const notches: number[] = [];
  for (let index = 1; index < times.length; index += 1) {
    const gap = Math.max(0, (times[index] as number) - (times[index - 1] as number));
    const cut = folded && gap > IDLE_MS * speed;
    if (cut) notches.push(index);
    places[index] = (places[index - 1] as number) + (cut ? NOTCH_MS * speed : gap);
  }
  return { places, notches, length: places.at(-1) ?? 0 };
}

/** The index of the last event at or before a place; the first for a place before all. */
export function eventAtPlace(track: Track, place: number): number {
  let low = 0;
  let high = track.places.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((track.places[middle] as number) <= place) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}

/** The share of the strip at which an event stands: by time, or by number if all share one time. */
export function shareOf(track: Track, index: number): number {
  if (track.length > 0) return (track.places[index] ?? track.length) / track.length;
  const last = track.places.length - 1;
  return last > 0 ? index / last : 1;
}

/** The event at a share of the strip, the nearest by time. */
export function eventAtShare(track: Track, share: number): number {
  const last = track.places.length - 1;
  if (track.length === 0) return Math.round(share * last);
  const place = share * track.length;
  const before = eventAtPlace(track, place);
  const after = Math.min(last, before + 1);
  const distance = (index: number) => Math.abs((track.places[index] ?? 0) - place);
  return distance(after) < distance(before) ? after : before;
}
