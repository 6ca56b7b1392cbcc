import { Dialog, Keys } from "@/design/primitives";
import { DESTINATIONS } from "./navigation";
import styles from "./palette.module.css";

const KEYS: readonly (readonly [string, string])[] = [
  ["Ctrl K", "Search or act"],
  ["/", "Filter"],
  ["J", "Next row"],
  ["K", "Previous row"],
  ["Enter", "Open"],
  ["X", "Select the row"],
  [".", "Actions"],
  ["E", "Explain"],
  ["L", "Back to live"],
  ["?", "These keys"],
];

export default function ShortcutHelp({ close }: { close: () => void }) {
  const go = DESTINATIONS.map((each) => [`G ${each.key.toUpperCase()}`, each.label] as const);
  return (
    <Dialog title="Keys" open onClose={close}>
      <dl className={styles.help}>
        {[...KEYS, ...go].map(([keys, what]) => (
          <div key={keys}>
            <dt>
              <Keys keys={keys} />
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
