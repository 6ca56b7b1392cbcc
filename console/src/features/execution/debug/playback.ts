/** Playing an execution again: from the moment on, at a speed, with idle stretches folded. */

import { useEffect, useMemo, useRef, useState } from "react";
import { eventAtPlace, type Speed, type Track, trackOf } from "@/model/playback";
import type { ExecutionData } from "../data";

export interface Playback {
  track: Track;
  /** Index of the event after which the moment stands. */
  index: number;
  playing: boolean;
  speed: Speed;
  folded: boolean;
  /** Move to an event by its index; what is played stops. */
  seek: (index: number) => void;
  toggle: () => void;
  setSpeed: (speed: Speed) => void;
  setFolded: (folded: boolean) => void;
}

/** An execution shorter than this is played slower at first. */
const BLINK_MS = 1_500;

export function usePlayback({ history, version, at, setAt }: ExecutionData): Playback {
  const { times } = history;
  const whole = (times.at(-1) ?? 0) - (times[0] ?? 0);
  const [chosen, setSpeed] = useState<Speed>();
  const speed = chosen ?? (whole < BLINK_MS ? 0.1 : 1);
  const [folded, setFolded] = useState(true);
  const [playing, setPlaying] = useState(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the version stands for the events
  const track = useMemo(() => trackOf(times, speed, folded), [times, version, speed, folded]);
  const first = history.events[0]?.sequence ?? 1;
  const last = Math.max(0, times.length - 1);
  const index = at === undefined ? last : Math.min(last, Math.max(0, at - first));
  const newest = useRef({ track, index, speed, show: (to: number) => setAt(first + to) });
  useEffect(() => {
    newest.current = { track, index, speed, show: (to) => setAt(first + to) };
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: another scale has other places
  useEffect(() => {
    if (!playing) return;
    let place = newest.current.track.places[newest.current.index] ?? 0;
    let before = performance.now();
    let frame = requestAnimationFrame(function step(now) {
      const { track: shown, index: from, speed: times, show } = newest.current;
      place += Math.max(0, now - before) * times;
      before = now;
      const next = eventAtPlace(shown, place);
      if (next !== from) show(next);
      if (next >= shown.places.length - 1) setPlaying(false);
      else frame = requestAnimationFrame(step);
    });
    return () => cancelAnimationFrame(frame);
  }, [playing, speed, folded]);
  const seek = (to: number) => {
    setPlaying(false);
    setAt(first + Math.min(last, Math.max(0, to)));
  };
  const toggle = () => {
    if (!playing && index >= last) setAt(first);
    setPlaying(!playing);
  };
  return { track, index, playing, speed, folded, seek, toggle, setSpeed, setFolded };
}
