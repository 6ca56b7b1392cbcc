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

const BUILDER: readonly (readonly [string, string])[] = [
  ["Ctrl S", "Save or deploy"],
  ["Ctrl Z", "Undo"],
  ["Ctrl Y", "Redo"],
  ["Ctrl B", "Show or hide the palette"],
  ["A", "Find in the palette"],
  ["I", "Add under the pointer"],
  ["C", "Connect with another box"],
  ["O", "Open the tasks within"],
  ["Delete", "Remove what is selected"],
  ["T", "Text"],
  ["P", "Properties"],
  ["R", "Run"],
];

export default function ShortcutHelp({ close }: { close: () => void }) {
  const go = DESTINATIONS.map((each) => [`G ${each.key.toUpperCase()}`, each.label] as const);
  return (
    <Dialog title="Keys" open onClose={close}>
      <List keys={[...KEYS, ...go]} />
      <h3>In the builder</h3>
      <List keys={BUILDER} />
    </Dialog>
  );
}

function List({ keys }: { keys: readonly (readonly [string, string])[] }) {
  return (
    <dl className={styles.help}>
      {keys.map(([key, what]) => (
        <div key={key}>
          <dt>
            <Keys keys={key} />
          </dt>
          <dd>{what}</dd>
        </div>
      ))}
    </dl>
  );
}
