import type { HTMLAttributes, ReactNode } from "react";
import { count } from "@/model/durations";
import styles from "./table.module.css";

export interface Column<Row> {
  /** Empty above buttons. */
  head: string;
  /** How the cell looks: text of others, an identifier, code, numbers, or less important. */
  as?: "text" | "id" | "code" | "numbers" | "muted";
  cell: (row: Row) => ReactNode;
  title?: (row: Row) => string | undefined;
  className?: string | undefined;
}

interface DataProps<Row> {
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  keyOf: (row: Row) => string | number;
  rowProps?: (row: Row) => HTMLAttributes<HTMLTableRowElement>;
  className?: string | undefined;
}

/** The content of a cell without a value. */
const NONE = "–";

/** A table of rows by its columns; on a phone each row is a card of labelled values. */
export function DataTable<Row>({ columns, rows, keyOf, rowProps, className }: DataProps<Row>) {
  return (
    <table className={`${styles.cards} ${className ?? ""}`}>
      <thead>
        <tr>
          {columns.map(({ head }) =>
            head ? (
              <th key={head} scope="col">
                {head}
              </th>
            ) : (
              <td key="actions" />
            ),
          )}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={keyOf(row)} {...rowProps?.(row)}>
            {columns.map(({ head, as, cell, title, className: own }) => {
              const content = cell(row);
              return (
                <td
                  key={head}
                  data-head={head || undefined}
                  data-none={content === NONE || undefined}
                  className={own ?? (as === "numbers" || as === "muted" ? as : undefined)}
                  title={title?.(row)}
                >
                  {dressed(content, as)}
                </td>
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function dressed(content: ReactNode, as: Column<unknown>["as"]): ReactNode {
  if (as === "text") return <bdi>{content}</bdi>;
  if (as === "code") return <code>{content}</code>;
  if (as !== "id") return content;
  return (
    <code>
      <bdi>{content}</bdi>
    </code>
  );
}

export interface TableProps<Row> extends Omit<DataProps<Row>, "className"> {
  title: string;
  /** What stands beside the title. */
  beside?: ReactNode;
}

/** A titled table; a region that scrolls sideways where it is too wide. */
export function Table<Row>({ title, beside, ...data }: TableProps<Row>) {
  return (
    <section aria-label={title} className={styles.section}>
      <header className={styles.head}>
        <h2>{title}</h2>
        {beside}
      </header>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls is reached by keys */}
      <div className={styles.scroller} role="group" aria-label={`Table: ${title}`} tabIndex={0}>
        <DataTable className={styles.table} {...data} />
      </div>
    </section>
  );
}

interface AmountProps {
  value: number;
  /** Whether any is a problem. */
  bad?: boolean;
}

/** A number that is quiet where it is zero, and loud where it is a problem. */
export function Amount({ value, bad = false }: AmountProps) {
  const family = bad && value > 0 ? "attention" : undefined;
  return (
    <span className={value ? styles.amount : "muted"} data-family={family}>
      {count(value)}
    </span>
  );
}

interface ShareProps {
  part: number;
  whole: number;
  label: string;
  /** What stands beside the bar, instead of both numbers. */
  text?: string;
}

/** A share of a whole as a bar with its numbers. */
export function Share({ part, whole, label, text }: ShareProps) {
  return (
    <span className={styles.share}>
      <meter min={0} max={Math.max(1, whole)} value={Math.min(part, whole)} aria-label={label} />
      <span className="numbers">{text ?? `${part} of ${whole}`}</span>
    </span>
  );
}
