import type { ReactNode } from "react";
import styles from "./table.module.css";

interface Props {
  title: string;
  heads: readonly string[];
  /** What stands beside the title. */
  beside?: ReactNode;
  children: ReactNode;
}

/** A titled table; a region that scrolls sideways where it is too wide. */
export function Table({ title, heads, beside, children }: Props) {
  return (
    <section aria-label={title} className={styles.section}>
      <header className={styles.head}>
        <h2>{title}</h2>
        {beside}
      </header>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls is reached by keys */}
      <div className={styles.scroller} role="group" aria-label={`Table: ${title}`} tabIndex={0}>
        <table className={styles.table}>
          <thead>
            <tr>
              {heads.map((head) =>
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
          <tbody>{children}</tbody>
        </table>
      </div>
    </section>
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
