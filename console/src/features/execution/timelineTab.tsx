import { useQuery } from "@tanstack/react-query";
import { type PointerEvent, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { read } from "@/api/client";
import type { TaskTrace } from "@/api/schema";
import { useColours } from "@/canvas/palette";
import { useCanvas } from "@/canvas/surface";
import { AXIS, NAMES, paintTimeline, ROW, type Window } from "@/canvas/timelinePainter";
import { Button, Empty, Skeleton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Status } from "@/design/status";
import { type Column, DataTable } from "@/design/table";
import { useNow } from "@/design/useNow";
import { duration } from "@/model/durations";
import { isOpen } from "@/model/status";
import { costOf, decisionMs, nameOf } from "@/model/trace";
import { useExecution } from "./data";
import styles from "./timelineTab.module.css";

const ORDERS = { start: "Start", critical: "Critical path", name: "Name" } as const;
type Order = keyof typeof ORDERS;
/** A cost below is no bottleneck, such as beside a long hold. */
const SHARE_MIN = 0.01;

/** When each task waited and ran; a table has the same. */
export default function TimelineTab() {
  const { executionId, execution } = useExecution();
  const [order, setOrder] = useState<Order>("start");
  const [asTable, setAsTable] = useState(false);
  const { data, isError, error, refetch } = useQuery({
    queryKey: ["execution", executionId, "trace"],
    queryFn: ({ signal }) =>
      read("/api/v1/executions/{executionId}/trace", { path: { executionId }, signal }),
    placeholderData: (before) => before,
  });
  const tasks = useMemo(() => ordered(data?.tasks ?? [], order), [data, order]);
  if (isError) return <Problem error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton rows={12} />;
  if (tasks.length === 0) return <Empty title="No task has begun" />;
  return (
    <>
      <div className={styles.tools}>
        <label>
          Order{" "}
          <select value={order} onChange={(event) => setOrder(event.target.value as Order)}>
            {Object.entries(ORDERS).map(([id, label]) => (
              <option key={id} value={id}>
                {label}
              </option>
            ))}
          </select>
        </label>
        {data.bottleneck && data.bottleneck.share >= SHARE_MIN && (
          <span className="muted truncate" title={data.bottleneck.text}>
            Bottleneck: <code>{data.bottleneck.taskId}</code> {costOf(data.bottleneck.reason)} for{" "}
            {duration(data.bottleneck.ms)} ({Math.round(data.bottleneck.share * 100)} %)
          </span>
        )}
        {data.truncated && <span>Only the first events are shown.</span>}
        {data.omitted > 0 && (
          <span>{data.omitted.toLocaleString("en")} more tasks of items are not shown.</span>
        )}
        <Button small kind="quiet" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
          {asTable ? "As a chart" : "As a table"}
        </Button>
      </div>
      {asTable ? (
        <TraceTable tasks={tasks} />
      ) : (
        <Chart
          tasks={tasks}
          durationMs={data.durationMs}
          running={isOpen(execution?.status ?? "")}
        />
      )}
    </>
  );
}

function ordered(tasks: readonly TaskTrace[], order: Order): TaskTrace[] {
  const begun = tasks.filter((task) => task.readyMs !== undefined || task.startedMs !== undefined);
  const start = (task: TaskTrace) => task.readyMs ?? task.startedMs ?? 0;
  const compare: Record<Order, (left: TaskTrace, right: TaskTrace) => number> = {
    start: (left, right) => start(left) - start(right),
    critical: (left, right) =>
      Number(right.critical) - Number(left.critical) || start(left) - start(right),
    name: (left, right) => left.name.localeCompare(right.name),
  };
  return begun.sort(compare[order]);
}

interface ChartProps {
  tasks: TaskTrace[];
  durationMs: number;
  running: boolean;
}

function Chart({ tasks, durationMs, running }: ChartProps) {
  const { node, select, statusOf, at, history, execution, version } = useExecution();
  const canvas = useRef<HTMLCanvasElement>(null);
  const colours = useColours();
  const begun = Date.parse(execution?.startedAt ?? "");
  const now = useNow(running);
  const end = running ? Math.max(durationMs, now - begun) : durationMs;
  const [chosen, setChosen] = useState<Window>();
  const [scroll, setScroll] = useState(0);
  const window = chosen ?? { from: 0, to: Math.max(1, end) };
  const moment = at === undefined ? undefined : history.eventAt(at);
  const cursor = moment && Date.parse(moment.timestamp) - begun;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the version stands for the statuses
  const draw = useCallback(
    (context: CanvasRenderingContext2D, width: number, height: number) =>
      paintTimeline(
        context,
        {
          tasks,
          window,
          end,
          readMs: durationMs,
          scroll,
          colours,
          selected: node,
          statusOf,
          cursor,
        },
        width,
        height,
      ),
    [tasks, window.from, window.to, end, durationMs, scroll, colours, node, version, cursor],
  );
  useCanvas(canvas, draw);
  useTimelineWheel(canvas, { window, end, rows: tasks.length, setChosen, setScroll });
  const pick = (event: PointerEvent<HTMLCanvasElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    const row = Math.floor((event.clientY - box.top - AXIS + scroll) / ROW);
    if (event.clientY - box.top > AXIS) select(tasks[row]?.id);
  };
  return (
    <>
      <canvas
        ref={canvas}
        className={styles.canvas}
        onPointerUp={pick}
        role="img"
        aria-label="Timeline of the tasks; the table has the same content"
        data-testid="timeline"
      />
      {chosen && (
        <Button small className={styles.whole} onClick={() => setChosen(undefined)}>
          Show all
        </Button>
      )}
    </>
  );
}

interface Wheel {
  window: Window;
  end: number;
  rows: number;
  setChosen: (window: Window | undefined) => void;
  setScroll: (change: (before: number) => number) => void;
}

/** Ctrl and wheel zoom at the pointer, Shift and wheel move in time, the wheel moves rows. */
function useTimelineWheel(canvas: React.RefObject<HTMLCanvasElement | null>, given: Wheel): void {
  const newest = useRef(given);
  useEffect(() => {
    newest.current = given;
  });
  useEffect(() => {
    const element = canvas.current;
    const turn = (event: WheelEvent) => {
      event.preventDefault();
      const { window, end, rows, setChosen, setScroll } = newest.current;
      const box = element?.getBoundingClientRect();
      const width = (box?.width ?? 0) - NAMES;
      const length = window.to - window.from;
      if (event.ctrlKey || event.metaKey) {
        const share = (event.clientX - (box?.left ?? 0) - NAMES) / width;
        const next = Math.min(end * 1.1, Math.max(0.5, length * Math.exp(event.deltaY / 200)));
        const from = Math.max(0, window.from + (length - next) * share);
        setChosen(next >= end ? undefined : { from, to: from + next });
      } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        const moved = ((event.deltaX || event.deltaY) / width) * length;
        const from = Math.min(Math.max(0, window.from + moved), Math.max(0, end - length));
        if (length < end) setChosen({ from, to: from + length });
      } else {
        const most = Math.max(0, rows * ROW + AXIS - (box?.height ?? 0) + ROW);
        setScroll((before) => Math.min(most, Math.max(0, before + event.deltaY)));
      }
    };
    element?.addEventListener("wheel", turn, { passive: false });
    return () => element?.removeEventListener("wheel", turn);
  }, [canvas]);
}

function TraceTable({ tasks }: { tasks: TaskTrace[] }) {
  const { select } = useExecution();
  const columns: readonly Column<TaskTrace>[] = [
    {
      head: "Task",
      cell: (task) => (
        <button type="button" onClick={() => select(task.id)}>
          {nameOf(task)}
        </button>
      ),
    },
    { head: "Status", cell: (task) => <Status status={task.status} /> },
    { head: "Ready", as: "numbers", cell: (task) => `+${duration(task.readyMs ?? 0)}` },
    { head: "Waited", as: "numbers", cell: (task) => duration(task.waitMs) },
    { head: "For a decision", as: "numbers", cell: (task) => duration(decisionMs(task)) },
    { head: "Ran", as: "numbers", cell: (task) => duration(task.runMs) },
    { head: "Attempts", as: "numbers", cell: (task) => task.attempts.length },
    { head: "Critical", cell: (task) => (task.critical ? "yes" : "") },
  ];
  return (
    <DataTable
      className={styles.table}
      columns={columns}
      rows={tasks.slice(0, 1_000)}
      keyOf={(task) => task.id}
    />
  );
}
