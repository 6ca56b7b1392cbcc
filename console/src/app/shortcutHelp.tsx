import { Dialog, Keys } from "@/design/primitives";
import { type Help, helpOf, KEYS, keyName, type View } from "./keyList";
import { KEYED } from "./navigation";
import styles from "./palette.module.css";

export default function ShortcutHelp({ close }: { close: () => void }) {
  const go = KEYED.map(({ key, label }) => ({ keys: [`G ${key.toUpperCase()}`], words: label }));
  return (
    <Dialog title="Keys" open onClose={close}>
      {(Object.keys(KEYS) as View[]).map((view) => (
        <section key={view}>
          <h3>{KEYS[view].title}</h3>
          <List help={helpOf(view)} />
        </section>
      ))}
      <h3>To a page</h3>
      <List help={go} />
    </Dialog>
  );
}

function List({ help }: { help: readonly Help[] }) {
  return (
    <dl className={styles.help}>
      {help.map(({ keys, words }) => (
        <div key={words}>
          <dt>
            {keys.map((key) => (
              <Keys key={key} keys={keyName(key)} />
            ))}
          </dt>
          <dd>{words}</dd>
        </div>
      ))}
    </dl>
  );
}
