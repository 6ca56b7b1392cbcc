/** Cron expressions in words, for those that people write most; others have none. */

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const NUMBER = /^\d{1,2}$/;
const STEP = /^\*\/(\d{1,2})$/;
const RANGE = /^([0-7])-([0-7])$/;

/** `0 2 * * *` as `every day at 02:00`; undefined if it takes more words than the expression. */
export function cronWords(expression: string | undefined): string | undefined {
  const fields = expression?.trim().split(/\s+/) ?? [];
  if (fields.length !== 5) return undefined;
  const [minute = "", hour = "", date = "", month = "", weekday = ""] = fields;
  if (month !== "*") return undefined;
  const days = daysOf(date, weekday);
  if (!days) return undefined;
  if (NUMBER.test(minute) && NUMBER.test(hour)) {
    return `${days} at ${hour.padStart(2, "0")}:${minute.padStart(2, "0")}`;
  }
  const times = timesOf(minute, hour);
  return times && (days === "every day" ? times : `${times}, ${days}`);
}

function daysOf(date: string, weekday: string): string | undefined {
  if (date === "*" && weekday === "*") return "every day";
  if (date === "*" && NUMBER.test(weekday)) return `every ${dayOf(weekday)}`;
  const range = RANGE.exec(weekday);
  if (date === "*" && range) return `${dayOf(range[1])} to ${dayOf(range[2])}`;
  if (weekday === "*" && NUMBER.test(date)) return `on day ${Number(date)} of the month`;
  return undefined;
}

function dayOf(number: string | undefined): string {
  return DAYS[Number(number) % 7] ?? "";
}

function timesOf(minute: string, hour: string): string | undefined {
  const step = STEP.exec(minute)?.[1];
  if (hour === "*" && minute === "*") return "every minute";
  if (hour === "*" && step) return `every ${Number(step)} minutes`;
  if (hour === "*" && NUMBER.test(minute)) {
    return Number(minute) === 0 ? "every hour" : `every hour at minute ${Number(minute)}`;
  }
  const hours = STEP.exec(hour)?.[1];
  if (!hours || !NUMBER.test(minute)) return undefined;
  const at = Number(minute) === 0 ? "" : ` at minute ${Number(minute)}`;
  return `every ${Number(hours)} hours${at}`;
}
