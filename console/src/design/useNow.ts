import { useSyncExternalStore } from "react";

const TICK_MS = 1_000;
const listeners = new Set<() => void>();
let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;
/** Time of the server less that of this browser. */
let offsetMs = 0;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(tick, TICK_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

function tick(): void {
  now = serverNow();
  for (const listener of listeners) listener();
}

const still = () => () => {};
const read = () => now;

/** The current time of the server, once a second, as long as `running`. */
export function useNow(running = true): number {
  return useSyncExternalStore(running ? subscribe : still, read);
}

/** Learn the clock of the server, as that of a browser may be minutes away. */
export function setServerTime(at: number): void {
  offsetMs = at - Date.now();
  tick();
}

export function serverNow(): number {
  return Date.now() + offsetMs;
}
