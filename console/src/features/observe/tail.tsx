import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, useState } from "react";
import { read } from "@/api/client";
import type { KeptLog } from "@/api/schema";
import { Problem } from "@/design/problem";
import { clockTime } from "@/model/durations";
import { say } from "@/model/messages";
import styles from "./tail.module.css";

const POLL_MS = 500;
const PAGE = 1_000;
/** Older records are in the list without the tail. */
const KEPT = 5_000;
const ROW_PX = 24;

/** New log records as they come, the newest first; only the visible ones are drawn. */
export function Tail({ filter }: { filter: string }) {
  const { rows, error, again } = useTail(filter);
  const box = useRef<HTMLDivElement>(null);
  const lines = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_PX,
    getItemKey: (index) => rows[index]?.position ?? index,
    overscan: 4,
  });
  if (error) return <Problem error={error} retry={again} />;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls by keys
    <div ref={box} className={styles.tail} role="log" aria-label={say("observe.live")} tabIndex={0}>
      <div style={{ blockSize: lines.getTotalSize() }} data-count={rows.length}>
        {lines.getVirtualItems().map(({ key, index, start }) => (
          <Line key={key} record={rows[index]} top={start} />
        ))}
      </div>
    </div>
  );
}

function Line({ record, top }: { record: KeptLog | undefined; top: number }) {
  if (!record) return null;
  const { at, level, service, event, fields } = record;
  return (
    <code className={styles.line} style={{ transform: `translateY(${top}px)` }} data-level={level}>
      {clockTime(Date.parse(at), "", true)} {level} {service} {event} {JSON.stringify(fields)}
    </code>
  );
}

/** Read the newest records, then those after them, a page at once while there are more. */
function useTail(filter: string) {
  const [rows, setRows] = useState<readonly KeptLog[]>([]);
  const [error, setError] = useState<Error>();
  const [turn, setTurn] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a turn begins anew after an error
  useEffect(() => {
    const stop = new AbortController();
    const { signal } = stop;
    setRows([]);
    setError(undefined);
    const follow = async () => {
      const { logs } = await read("/api/v1/observe/logs", { query: { filter }, signal });
      setRows(logs);
      let after = logs[0]?.position ?? 1;
      while (!signal.aborted) {
        const query = { filter, after, pageSize: PAGE };
        const page = (await read("/api/v1/observe/logs", { query, signal })).logs;
        after = page.at(-1)?.position ?? after;
        if (page.length) setRows((before) => [...page.toReversed(), ...before].slice(0, KEPT));
        if (page.length < PAGE) await pause(signal);
      }
    };
    follow().catch((raised: Error) => {
      if (!signal.aborted) setError(raised);
    });
    return () => stop.abort();
  }, [filter, turn]);
  return { rows, error, again: () => setTurn(turn + 1) };
}

function pause(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, POLL_MS);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
