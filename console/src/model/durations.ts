/** Durations and instants as people read them. */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `340 ms`, `2.4 s`, `3 m 12 s`, `5 h 2 m`, `3 d 4 h`. */
export function duration(ms: number): string {
  const value = Math.max(0, ms);
  if (value < SECOND) return `${Math.round(value)} ms`;
  if (value < 10 * SECOND) return `${(Math.floor(value / 100) / 10).toFixed(1)} s`;
  if (value < MINUTE) return `${Math.floor(value / SECOND)} s`;
  if (value < HOUR) return pair(value, MINUTE, "m", SECOND, "s");
  if (value < DAY) return pair(value, HOUR, "h", MINUTE, "m");
  return pair(value, DAY, "d", HOUR, "h");
}

function pair(value: number, large: number, word: string, small: number, smaller: string): string {
  const rest = Math.floor((value % large) / small);
  const whole = `${Math.floor(value / large)} ${word}`;
  return rest ? `${whole} ${rest} ${smaller}` : whole;
}

/** `just now`, `4 m ago`, `2 h ago`, `3 d ago`; in the future `in 4 m`. */
export function relative(at: number, now: number): string {
  const distance = Math.abs(now - at);
  if (distance < 5 * SECOND) return "just now";
  // What is due is rounded: 47:59 hours from now are two days.
  return at > now ? `in ${short(distance, Math.round)}` : `${short(distance, Math.floor)} ago`;
}

function short(ms: number, whole: (value: number) => number): string {
  if (ms < MINUTE) return `${whole(ms / SECOND)} s`;
  if (ms < HOUR) return `${whole(ms / MINUTE)} m`;
  if (ms < DAY) return `${whole(ms / HOUR)} h`;
  return `${whole(ms / DAY)} d`;
}

/** `26 Nov, 14:03:09.123` in the zone, with milliseconds only if asked for. */
export function clockTime(at: number, zone: string, withMs = false): string {
  const format = new Intl.DateTimeFormat("en-GB", {
    day: "numeric",
    month: "short",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    ...(withMs ? { fractionalSecondDigits: 3 as const } : {}),
    ...(zone ? { timeZone: zone } : {}),
  });
  return format.format(at);
}

export function bytes(size: number): string {
  if (size < 1_024) return `${size} B`;
  if (size < 1_048_576) return `${(size / 1_024).toFixed(1)} KiB`;
  return `${(size / 1_048_576).toFixed(1)} MiB`;
}

export function count(value: number): string {
  return new Intl.NumberFormat("en").format(value);
}

/** `12.5%` of a share of one. */
export function percent(share: number): string {
  return new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 }).format(share);
}

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}
