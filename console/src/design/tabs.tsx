import type { KeyboardEvent, ReactNode } from "react";
import styles from "./tabs.module.css";

interface TabsProps<T extends string> {
  label: string;
  tabs: readonly { id: T; label: string; count?: number | undefined }[];
  chosen: T;
  choose: (id: T) => void;
  beside?: ReactNode;
}

/** Tabs by the pattern of ARIA: arrows move, the chosen one is in the order of the page. */
export function Tabs<T extends string>({ label, tabs, chosen, choose, beside }: TabsProps<T>) {
  const move = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const at = tabs.findIndex((tab) => tab.id === chosen);
    const next = step && tabs[(at + step + tabs.length) % tabs.length];
    if (!next) return;
    event.preventDefault();
    choose(next.id);
    document.getElementById(`tab-${next.id}`)?.focus();
  };
  return (
    <div className={styles.bar}>
      <div role="tablist" aria-label={label} className={styles.tabs} onKeyDown={move}>
        {tabs.map((tab) => (
          <button
            key={tab.id}
            id={`tab-${tab.id}`}
            type="button"
            role="tab"
            aria-selected={tab.id === chosen}
            aria-controls={`panel-${tab.id}`}
            tabIndex={tab.id === chosen ? 0 : -1}
            onClick={() => choose(tab.id)}
          >
            {tab.label}
            {tab.count !== undefined && <span className="numbers">{tab.count}</span>}
          </button>
        ))}
      </div>
      {beside}
    </div>
  );
}

export function TabPanel(props: {
  tab: string;
  className?: string | undefined;
  children: ReactNode;
}) {
  return (
    <div
      id={`panel-${props.tab}`}
      role="tabpanel"
      aria-labelledby={`tab-${props.tab}`}
      className={props.className}
    >
      {props.children}
    </div>
  );
}
