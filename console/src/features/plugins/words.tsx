import { say } from "@/model/messages";
import styles from "./page.module.css";

/** Permissions, one a line. */
export function Words({ of }: { of: readonly string[] }) {
  if (of.length === 0) return <span className="muted">{say("plugins.noPermissions")}</span>;
  return (
    <ul className={styles.words}>
      {of.map((each) => (
        <li key={each}>
          <code>{each}</code>
        </li>
      ))}
    </ul>
  );
}
