import { Dialog, Keys } from "@/design/primitives";
import { KEY_GROUPS, keyName } from "./keyList";
import { KEYED } from "./navigation";
import styles from "./palette.module.css";

export default function ShortcutHelp({ close }: { close: () => void }) {
  const go = KEYED.map((each) => [`G ${each.key.toUpperCase()}`, each.label] as const);
  return (
    <Dialog title="Keys" open onClose={close}>
      {KEY_GROUPS.map(({ title, keys }) => (
        <section key={title}>
          <h3>{title}</h3>
          <List keys={keys.map(([key, what]) => [keyName(key), what])} />
        </section>
      ))}
      <h3>To a page</h3>
      <List keys={go} />
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
