import { useQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { Download } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { read } from "@/api/client";
import type { FeedEvent } from "@/api/feed";
import { usePreference } from "@/app/preferences";
import { Button, Empty, Skeleton } from "@/design/primitives";
import { clockTime, duration, plural } from "@/model/durations";
import { ValueTree } from "@/values/valueTree";
import { useExecution } from "./data";
import { eventFamily, eventLabel, eventSummary } from "./eventText";
import styles from "./historyTab.module.css";

const GROUPS = ["Workflow", "Task", "Signal", "Approval", "Child"] as const;
const ROW = 30;
const OPEN_ROW = 220;

/** All events, or those of a kind or with a text; the moment moves with a click on one. */
export default function HistoryTab() {
  const { history, version, loaded, at, setAt, select, node } = useExecution();
  const [kind, setKind] = useState("");
  const [text, setText] = useState("");
  const [mine, setMine] = useState(false);
  const [open, setOpen] = useState<number>();
  const scroller = useRef<HTMLDivElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the version stands for the events
  const events = useMemo(() => {
    const words = text.toLowerCase();
    return history.events.filter(
      (event) =>
        (!kind || event.type.startsWith(kind)) &&
        (!mine || !node || event.taskId === node) &&
        (!words || textOf(event).includes(words)),
    );
  }, [history, version, kind, text, mine, node]);
  const virtual = useVirtualizer({
    count: events.length,
    getScrollElement: () => scroller.current,
    estimateSize: (index) => (events[index]?.sequence === open ? OPEN_ROW : ROW),
    getItemKey: (index) => events[index]?.sequence ?? index,
    overscan: 20,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: only another moment moves the list
  useEffect(() => {
    if (at === undefined) return;
    const place = events.findLastIndex((event) => event.sequence <= at);
    if (place >= 0) virtual.scrollToIndex(place, { align: "auto" });
  }, [at]);
  useFollow(scroller, events.length, at === undefined && open === undefined);
  if (!loaded && history.events.length === 0) return <Skeleton rows={14} />;
  const begun = Date.parse(history.events[0]?.timestamp ?? "");
  return (
    <>
      <div className={styles.tools}>
        <input
          type="search"
          aria-label="Search in events"
          placeholder="Search in events"
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <select
          aria-label="Kind of events"
          value={kind}
          onChange={(event) => setKind(event.target.value)}
        >
          <option value="">All kinds</option>
          {GROUPS.map((group) => (
            <option key={group} value={group}>
              {group} events
            </option>
          ))}
        </select>
        {node && (
          <label>
            <input type="checkbox" checked={mine} onChange={() => setMine(!mine)} /> only{" "}
            <code>{node}</code>
          </label>
        )}
        <span className="muted numbers">{plural(events.length, "event")}</span>
        <Button
          small
          kind="quiet"
          icon={<Download size={13} />}
          onClick={() => save(history.events)}
        >
          JSON Lines
        </Button>
      </div>
      {events.length === 0 ? (
        <Empty title="No event matches" />
      ) : (
        <div ref={scroller} className={styles.scroller} data-testid="events">
          <div
            role="list"
            aria-label="Events"
            style={{ height: virtual.getTotalSize(), position: "relative" }}
          >
            {virtual.getVirtualItems().map((item) => {
              const event = events[item.index];
              if (!event) return null;
              return (
                <div
                  key={item.key}
                  role="listitem"
                  ref={virtual.measureElement}
                  data-index={item.index}
                  className={styles.item}
                  data-at={event.sequence === at || undefined}
                  data-later={(at !== undefined && event.sequence > at) || undefined}
                  style={{ transform: `translateY(${item.start}px)` }}
                >
                  <EventRow
                    event={event}
                    begun={begun}
                    open={open === event.sequence}
                    toggle={() => setOpen(open === event.sequence ? undefined : event.sequence)}
                    select={select}
                  />
                  {open === event.sequence && <Details event={event} setAt={setAt} />}
                </div>
              );
            })}
          </div>
        </div>
      )}
    </>
  );
}

interface RowProps {
  event: FeedEvent;
  begun: number;
  open: boolean;
  toggle: () => void;
  select: (node: string) => void;
}

function EventRow({ event, begun, open, toggle, select }: RowProps) {
  const zone = usePreference("zone");
  const when = Date.parse(event.timestamp);
  return (
    <div className={styles.row} data-family={eventFamily(event)}>
      <button type="button" className={styles.toggle} aria-expanded={open} onClick={toggle}>
        <span className="numbers muted">{event.sequence}</span>
        <span className={styles.kind}>
          <i aria-hidden />
          {eventLabel(event)}
        </span>
      </button>
      {event.taskId ? (
        <button type="button" className={styles.task} onClick={() => select(event.taskId ?? "")}>
          <bdi className="truncate">{event.taskId}</bdi>
          {(event.attempt ?? 1) > 1 && <span className="muted"> #{event.attempt}</span>}
        </button>
      ) : (
        <span />
      )}
      <span className="truncate muted">
        <bdi>{eventSummary(event)}</bdi>
      </span>
      <time
        className="numbers muted"
        dateTime={event.timestamp}
        title={clockTime(when, zone, true)}
      >
        +{duration(when - begun)}
      </time>
    </div>
  );
}

function Details({ event, setAt }: { event: FeedEvent; setAt: (at: number) => void }) {
  const zone = usePreference("zone");
  const { data } = useQuery({
    queryKey: ["event", event.executionId, event.sequence],
    queryFn: ({ signal }) =>
      read("/api/v1/executions/{executionId}/history", {
        path: { executionId: event.executionId },
        query: { after: event.sequence - 1, pageSize: 1 },
        signal,
      }),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const whole = data?.events[0];
  return (
    <div className={styles.details}>
      <p>
        <span className="numbers">{clockTime(Date.parse(event.timestamp), zone, true)}</span>
        <Button small onClick={() => setAt(event.sequence)}>
          Show the state after this event
        </Button>
      </p>
      {whole ? <ValueTree value={whole.data} root="data" /> : <Skeleton rows={2} />}
    </div>
  );
}

function textOf(event: FeedEvent): string {
  return `${event.type} ${event.taskId ?? ""} ${eventSummary(event)}`.toLowerCase();
}

/** Stay at the last event while the reader is there. */
function useFollow(
  scroller: React.RefObject<HTMLDivElement | null>,
  count: number,
  wanted: boolean,
) {
  const atEnd = useRef(true);
  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const note = () => {
      atEnd.current = element.scrollHeight - element.scrollTop - element.clientHeight < ROW * 2;
    };
    element.addEventListener("scroll", note, { passive: true });
    return () => element.removeEventListener("scroll", note);
  }, [scroller]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: each new event may move the end
  useEffect(() => {
    const element = scroller.current;
    if (wanted && atEnd.current && element) element.scrollTop = element.scrollHeight;
  }, [count, wanted, scroller]);
}

function save(events: readonly FeedEvent[]): void {
  const lines = events.map((event) => JSON.stringify(event)).join("\n");
  const url = URL.createObjectURL(new Blob([lines], { type: "application/jsonl" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `${events[0]?.executionId ?? "history"}.jsonl`;
  link.click();
  URL.revokeObjectURL(url);
}
