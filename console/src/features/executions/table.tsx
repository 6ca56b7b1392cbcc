import { useNavigate } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDown, ArrowUp } from "lucide-react";
import {
  type CSSProperties,
  type RefObject,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { useKeys } from "@/app/keys";
import type { ListSearch } from "@/app/routes";
import { say } from "@/model/messages";
import { cell } from "./cell";
import type { Column } from "./columns";
import type { Row } from "./queries";
import styles from "./table.module.css";
import type { Rows } from "./useRows";

/** The width and the height of cards, as in the style. */
const PHONE = "(max-width: 720px)";
const CARD_HEIGHT = 82;
/** The width that a column has at least, on average. */
const COLUMN_WIDTH = 118;

export interface Selection {
  ids: ReadonlySet<string>;
  /** All executions that match the filter, shown or not. */
  all: boolean;
}

interface Props {
  found: Rows;
  columns: readonly Column[];
  /** The rows in memory. */
  loaded: readonly Row[];
  search: ListSearch;
  change: (values: Partial<ListSearch>) => void;
  selection: Selection;
  select: (selection: Selection) => void;
}

export function Table(props: Props) {
  const { found, columns, loaded, search, change, selection, select } = props;
  const { rows, show } = found;
  const scroller = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState("");
  const rowHeight = useRowHeight();
  const tracks = `34px ${columns.map((each) => each.width).join(" ")}`;
  const template = {
    "--tracks": tracks,
    "--least": `${columns.length * COLUMN_WIDTH}px`,
  } as CSSProperties;
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 12,
    // Rows are drawn with the page, before the height of the list is measured.
    initialRect: { width: innerWidth, height: innerHeight },
  });
  const items = virtual.getVirtualItems();
  const first = items[0]?.index ?? 0;
  const last = items.at(-1)?.index ?? 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: other rows have other pages
  useEffect(() => show(first, last), [show, first, last, rows]);
  useKeptPlace(scroller, found, rowHeight);
  useRowKeys({
    rows,
    active,
    setActive,
    selection,
    select,
    loaded,
    scrollTo: (row) => virtual.scrollToIndex(row),
  });
  const allShown = loaded.length > 0 && loaded.every((row) => selection.ids.has(row.executionId));
  const toggleShown = () =>
    select({ all: false, ids: new Set(allShown ? [] : loaded.map((row) => row.executionId)) });
  return (
    <div
      ref={scroller}
      className={styles.scroller}
      role="table"
      aria-label={say("executions.title")}
      aria-rowcount={-1}
      data-testid="executions"
    >
      <div className={styles.head} role="row" style={template}>
        <span role="columnheader">
          <input
            type="checkbox"
            aria-label={say("executions.selectLoaded")}
            checked={allShown || selection.all}
            onChange={toggleShown}
          />
        </span>
        {columns.map((column) => (
          <Heading key={column.id} column={column} order={search.order} change={change} />
        ))}
      </div>
      <div
        role="rowgroup"
        className={styles.rows}
        style={{ ...template, height: virtual.getTotalSize() }}
      >
        {items.map((item) => {
          const row = rows[item.index];
          const style = { ...template, transform: `translateY(${item.start}px)` };
          if (!row) return <Unread key={item.key} columns={columns.length} style={style} />;
          const picked = selection.all || selection.ids.has(row.executionId);
          return (
            <div
              key={row.executionId}
              role="row"
              aria-rowindex={item.index + 2}
              aria-selected={picked}
              className={styles.row}
              data-active={row.executionId === active || undefined}
              style={style}
            >
              <span role="cell">
                <input
                  type="checkbox"
                  aria-label={say("executions.select", { id: row.executionId })}
                  checked={picked}
                  onChange={() => select(toggledRow(selection, loaded, row.executionId))}
                />
              </span>
              {columns.map((column) => (
                <span
                  key={column.id}
                  role="cell"
                  className={`truncate ${styles[column.id] ?? styles.apart}`}
                >
                  {cell(column.id, row)}
                </span>
              ))}
            </div>
          );
        })}
      </div>
      {found.reading && <p className={styles.loading}>{say("executions.reading")}</p>}
    </div>
  );
}

/** A row whose page is being read. */
function Unread({ columns, style }: { columns: number; style: CSSProperties }) {
  return (
    <div role="row" className={styles.row} style={style} aria-busy>
      {Array.from({ length: columns + 1 }, (_, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the cells are alike
        <span key={index} role="cell" className={styles.unread} />
      ))}
    </div>
  );
}

/** Keep the first visible row where it is when rows arrive above it; another list begins anew. */
function useKeptPlace(
  scroller: RefObject<HTMLDivElement | null>,
  { list, rows }: Rows,
  rowHeight: number,
): void {
  const kept = useRef<{ list: string; index: number; id: string | undefined }>(undefined);
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const { index, id } = kept.current ?? {};
    if (kept.current && kept.current.list !== list) {
      element.scrollTop = 0;
    } else if (
      index !== undefined &&
      id &&
      element.scrollTop > 0 &&
      rows[index]?.executionId !== id
    ) {
      const now = rows.findIndex((row) => row?.executionId === id);
      if (now >= 0) element.scrollTop += (now - index) * rowHeight;
    }
    const remember = () => {
      const first = Math.floor(element.scrollTop / rowHeight);
      kept.current = { list, index: first, id: rows[first]?.executionId };
    };
    remember();
    element.addEventListener("scroll", remember, { passive: true });
    return () => element.removeEventListener("scroll", remember);
  }, [scroller, list, rows, rowHeight]);
}

function Heading(props: { column: Column; order: string | undefined; change: Props["change"] }) {
  const { column, order = "started desc", change } = props;
  if (!column.order) return <span role="columnheader">{column.label}</span>;
  const chosen = order.split(" ")[0] === column.order;
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

function toggledRow(selection: Selection, rows: readonly Row[], id: string): Selection {
  const ids = new Set(selection.all ? rows.map((row) => row.executionId) : selection.ids);
  if (!ids.delete(id)) ids.add(id);
  return { all: false, ids };
}

interface RowKeys {
  rows: Rows["rows"];
  active: string;
  setActive: (id: string) => void;
  selection: Selection;
  select: (selection: Selection) => void;
  loaded: readonly Row[];
  scrollTo: (row: number) => void;
}

function useRowKeys({ rows, active, setActive, selection, select, loaded, scrollTo }: RowKeys) {
  const navigate = useNavigate();
  const move = (step: number) => {
    const at = rows.findIndex((row) => row?.executionId === active);
    const next = Math.min(rows.length - 1, Math.max(0, at + step));
    setActive(rows[next]?.executionId ?? active);
    scrollTo(next);
  };
  const open = (executionId: string) =>
    void navigate({ to: "/executions/$executionId", params: { executionId } });
  useKeys("list", {
    j: () => move(1),
    k: () => move(-1),
    x: active ? () => select(toggledRow(selection, loaded, active)) : undefined,
    Enter: active ? () => open(active) : undefined,
  });
}

/** The height that the style gives to rows, and to cards on a phone. */
function useRowHeight(): number {
  const [height, setHeight] = useState(rowHeightNow);
  useEffect(() => {
    const phone = matchMedia(PHONE);
    const changed = () => setHeight(rowHeightNow());
    phone.addEventListener("change", changed);
    return () => phone.removeEventListener("change", changed);
  }, []);
  return height;
}

function rowHeightNow(): number {
  if (matchMedia(PHONE).matches) return CARD_HEIGHT;
  const text = getComputedStyle(document.documentElement).getPropertyValue("--row");
  return Number.parseInt(text, 10) || 34;
}
