import { ChevronRight } from "lucide-react";
import { useMemo, useState } from "react";
import { CopyButton } from "@/design/primitives";
import { bytes, plural } from "@/model/durations";
import { sealedOf } from "./sealed";
import { SealedValue } from "./sealedValue";
import { shownText } from "./text";
import styles from "./valueTree.module.css";

/** Members shown at once, and characters of a long text. */
const CHILDREN = 100;
const TEXT = 400;
const OPEN_DEPTH = 2;

interface Props {
  value: unknown;
  /** The path of the value in templates. */
  root: string;
  /** Whether it is opened by the reader first. */
  folded?: boolean;
}

/** A JSON value that opens member by member; large parts are drawn only when asked for. */
export function ValueTree({ value, root, folded = false }: Props) {
  const text = useMemo(() => JSON.stringify(value, undefined, 2) ?? "null", [value]);
  return (
    <div className={styles.tree}>
      <div className={styles.tools}>
        <span className="muted numbers">{bytes(text.length)}</span>
        <CopyButton text={text} label="Copy as JSON" />
      </div>
      <Node name="" value={value} path={root} depth={folded ? OPEN_DEPTH : 0} />
    </div>
  );
}

interface NodeProps {
  name: string;
  value: unknown;
  path: string;
  depth: number;
}

function Node({ name, value, path, depth }: NodeProps) {
  if (value === null || typeof value !== "object") {
    return (
      <div className={styles.leaf} title={path}>
        <Name name={name} />
        <Scalar value={value} />
      </div>
    );
  }
  const sealed = sealedOf(value);
  if (sealed === undefined) return <Branch name={name} value={value} path={path} depth={depth} />;
  return (
    <div>
      <Name name={name} />
      <SealedValue parts={sealed}>
        {(opened) => <Node name="" value={opened} path={path} depth={depth} />}
      </SealedValue>
    </div>
  );
}

function Branch({ name, value, path, depth }: NodeProps & { value: object }) {
  const entries = Object.entries(value);
  const [open, setOpen] = useState(depth < OPEN_DEPTH && entries.length <= CHILDREN);
  const [shown, setShown] = useState(CHILDREN);
  const isArray = Array.isArray(value);
  const what = isArray ? plural(entries.length, "item") : plural(entries.length, "member");
  if (entries.length === 0) {
    return (
      <div className={styles.leaf}>
        <Name name={name} />
        <span className="muted">{isArray ? "[ ]" : "{ }"}</span>
      </div>
    );
  }
  return (
    <div>
      <button
        type="button"
        className={styles.branch}
        aria-expanded={open}
        title={path}
        onClick={() => setOpen(!open)}
      >
        <ChevronRight size={12} aria-hidden />
        <Name name={name} />
        <span className="muted">{what}</span>
      </button>
      {open && (
        <div className={styles.children}>
          {entries.slice(0, shown).map(([key, member]) => (
            <Node
              key={key}
              name={key}
              value={member}
              path={isArray ? `${path}[${key}]` : `${path}.${key}`}
              depth={depth + 1}
            />
          ))}
          {entries.length > shown && (
            <button
              type="button"
              className={styles.more}
              onClick={() => setShown(shown + CHILDREN * 10)}
            >
              {plural(entries.length - shown, "more", "more")}
            </button>
          )}
        </div>
      )}
    </div>
  );
}

function Name({ name }: { name: string }) {
  if (!name) return null;
  return (
    <span className={styles.name}>
      <bdi>{shownText(name)}</bdi>:
    </span>
  );
}

function Scalar({ value }: { value: unknown }) {
  const [whole, setWhole] = useState(false);
  if (typeof value !== "string") {
    return <span className={styles[typeof value] ?? styles.null}>{String(value)}</span>;
  }
  const cut = !whole && value.length > TEXT;
  return (
    <span className={styles.string}>
      "<bdi>{shownText(cut ? value.slice(0, TEXT) : value)}</bdi>
      {cut ? "…" : '"'}
      {cut && (
        <button type="button" className={styles.more} onClick={() => setWhole(true)}>
          {plural(value.length - TEXT, "more character")}
        </button>
      )}
    </span>
  );
}
