import { type ReactNode, useEffect } from "react";
import frame from "@/design/page.module.css";
import { shownText } from "@/values/text";
import styles from "./pageHeader.module.css";

interface Props {
  title: string;
  /** Links to the pages above this one. */
  crumbs?: ReactNode;
  beside?: ReactNode;
  actions?: ReactNode;
  children?: ReactNode;
}

/** The head of a page: its one `h1`, which is the title of the document too. */
export function PageHeader({ title, crumbs, beside, actions, children }: Props) {
  const shown = shownText(title);
  useEffect(() => {
    document.title = `${shown} · Flowmesh`;
  }, [shown]);
  return (
    <header className={styles.header}>
      <div className={styles.row}>
        {crumbs && (
          <nav aria-label="Breadcrumbs" className={styles.crumbs}>
            {crumbs}
            <span aria-hidden>/</span>
          </nav>
        )}
        <h1 className="truncate" title={shown}>
          <bdi>{shown}</bdi>
        </h1>
        {beside}
        <div className={`${styles.actions} boxed-links`}>{actions}</div>
      </div>
      {children}
    </header>
  );
}

/** A page of a header and content that scrolls below it. */
export function Page({ children, ...header }: Props) {
  return (
    <>
      <PageHeader {...header} />
      <div className={frame.page}>{children}</div>
    </>
  );
}
