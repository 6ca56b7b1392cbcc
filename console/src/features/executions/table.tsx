import { Link, useNavigate } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDown, ArrowUp } from "lucide-react";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { useKeys } from "@/app/keys";
import type { ListSearch } from "@/app/routes";
import { Elapsed, Time } from "@/design/primitives";
import { Status } from "@/design/status";
import { COLUMNS, type Column, shownColumns } from "./columns";
import type { Row } from "./queries";
import styles from "./table.module.css";

export interface Selection {
  ids: ReadonlySet<string>;
  /** All executions that match the filter, shown or not. */
  all: boolean;
}

interface Props {
  rows: readonly Row[];
  search: ListSearch;
  change: (values: Partial<ListSearch>) => void;
  selection: Selection;
  select: (selection: Selection) => void;
  more: () => void;
  hasMore: boolean;
  loading: boolean;
}

/** Distance from the end at which the next page is read, in rows. */
const AHEAD = 30;

export function Table({ rows, search, change, selection, select, more, hasMore, loading }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState(-1);
  const rowHeight = useRowHeight();
  const shown = shownColumns(search.columns);
  const columns = COLUMNS.filter((column) => shown.includes(column.id));
  const template = { gridTemplateColumns: `34px ${columns.map((each) => each.width).join(" ")}` };
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 12,
  });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (hasMore && last >= rows.length - AHEAD) more();
  }, [hasMore, last, rows.length, more]);
  useRowKeys({
    rows,
    active,
    setActive,
    selection,
    select,
    scrollTo: (row) => virtual.scrollToIndex(row),
  });
  const allShown = rows.length > 0 && rows.every((row) => selection.ids.has(row.executionId));
  const toggleShown = () =>
    select({ all: false, ids: allShown ? new Set() : new Set(rows.map((row) => row.executionId)) });
  return (
    <div
      ref={scroller}
      className={styles.scroller}
      role="table"
      aria-label="Executions"
      aria-rowcount={-1}
      data-testid="executions"
    >
      <div className={styles.head} role="row" style={template}>
        <span role="columnheader">
          <input
            type="checkbox"
            aria-label="Select all loaded executions"
            checked={allShown || selection.all}
            onChange={toggleShown}
          />
        </span>
        {columns.map((column) => (
          <Heading key={column.id} column={column} order={search.order} change={change} />
        ))}
      </div>
      <div role="rowgroup" className={styles.rows} style={{ height: virtual.getTotalSize() }}>
        {items.map((item) => {
          const row = rows[item.index];
          if (!row) return null;
          const picked = selection.all || selection.ids.has(row.executionId);
          return (
            <div
              key={row.executionId}
              role="row"
              aria-rowindex={item.index + 2}
              aria-selected={picked}
              className={styles.row}
              data-active={item.index === active || undefined}
              style={{ ...template, transform: `translateY(${item.start}px)` }}
            >
              <span role="cell">
                <input
                  type="checkbox"
                  aria-label={`Select ${row.executionId}`}
                  checked={picked}
                  onChange={() => select(toggledRow(selection, rows, row.executionId))}
                />
              </span>
              {columns.map((column) => (
                <span key={column.id} role="cell" className="truncate">
                  {cell(column.id, row)}
                </span>
              ))}
            </div>
          );
        })}
      </div>
      {loading && <p className={styles.loading}>Reading more…</p>}
    </div>
  );
}

function Heading(props: { column: Column; order: string | undefined; change: Props["change"] }) {
  const { column, order = "started desc", change } = props;
  if (!column.order) return <span role="columnheader">{column.label}</span>;
  const chosen = order.startsWith(column.order);
  const ascending = order.endsWith("asc");
  const next = chosen && !ascending ? `${column.order} asc` : `${column.order} desc`;
  return (
    <span
      role="columnheader"
      aria-sort={chosen ? (ascending ? "ascending" : "descending") : "none"}
    >
      <button
        type="button"
        onClick={() => change({ order: next === "started desc" ? undefined : next })}
      >
        {column.label}
        {chosen && (ascending ? <ArrowUp size={11} /> : <ArrowDown size={11} />)}
      </button>
    </span>
  );
}

function cell(column: string, row: Row): ReactNode {
  switch (column) {
    case "status":
      return <Status status={row.status} />;
    case "workflow":
      return <bdi title={row.workflow}>{row.workflowName}</bdi>;
    case "id":
      return (
        <Link
          to="/executions/$executionId"
          params={{ executionId: row.executionId }}
          className={styles.open}
        >
          {row.executionId}
        </Link>
      );
    case "version":
      return <span className="numbers">{row.version}</span>;
    case "started":
      return <Time at={row.startedAt} />;
    case "ended":
      return <Time at={row.endedAt} />;
    case "duration":
      return <Elapsed from={row.startedAt} to={row.endedAt} />;
    case "events":
      return <span className="numbers">{row.lastSequence ?? "–"}</span>;
    case "request":
      return <code>{row.requestId ?? ""}</code>;
    default:
      return row.error ? (
        <span className={styles.error} title={`${row.error.class}: ${row.error.message}`}>
          <b>{row.error.class}</b> <bdi>{row.error.message}</bdi>
        </span>
      ) : null;
  }
}

function toggledRow(selection: Selection, rows: readonly Row[], id: string): Selection {
  const ids = new Set(selection.all ? rows.map((row) => row.executionId) : selection.ids);
  if (!ids.delete(id)) ids.add(id);
  return { all: false, ids };
}

interface RowKeys {
  rows: readonly Row[];
  active: number;
  setActive: (row: number) => void;
  selection: Selection;
  select: (selection: Selection) => void;
  scrollTo: (row: number) => void;
}

function useRowKeys({ rows, active, setActive, selection, select, scrollTo }: RowKeys): void {
  const navigate = useNavigate();
  const move = (step: number) => {
    const next = Math.min(rows.length - 1, Math.max(0, active + step));
    setActive(next);
    scrollTo(next);
  };
  const row = rows[active];
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    ...(row && {
      x: () => select(toggledRow(selection, rows, row.executionId)),
      Enter: (event: KeyboardEvent) => {
        if ((event.target as Element).closest("a, button")) return;
        void navigate({
          to: "/executions/$executionId",
          params: { executionId: row.executionId },
        });
      },
    }),
  });
}

function useRowHeight(): number {
  const [height] = useState(() => {
    const text = getComputedStyle(document.documentElement).getPropertyValue("--row");
    return Number.parseInt(text, 10) || 34;
  });
  return height;
}
