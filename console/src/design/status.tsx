import { GLYPHS, KINDS, ROUND } from "@/model/glyphs";
import { lookOf } from "@/model/status";
import styles from "./status.module.css";

/** The mark of a status: form and colour of its family; the word stands beside it or is its name. */
export function StatusMark({ status, named = false }: { status: string; named?: boolean }) {
  const look = lookOf(status);
  return (
    <svg
      className={styles.mark}
      data-family={look.family}
      data-glyph={look.glyph}
      viewBox="0 0 16 16"
      role={named ? "img" : undefined}
      aria-label={named ? look.word : undefined}
      aria-hidden={named ? undefined : true}
    >
      {ROUND.has(look.glyph) && <circle cx="8" cy="8" r="6.2" />}
      <path d={GLYPHS[look.glyph]} />
    </svg>
  );
}

/** Mark and word of a status, as text or as a badge. */
export function Status({ status, badge = false }: { status: string; badge?: boolean }) {
  const look = lookOf(status);
  return (
    <span className={badge ? styles.badge : styles.status} data-family={look.family}>
      <StatusMark status={status} />
      {look.word}
    </span>
  );
}

/** The mark of a kind of task, beside its name. */
export function KindMark({ type }: { type: string }) {
  return (
    <svg className={styles.mark} data-family="neutral" viewBox="0 0 16 16" aria-hidden>
      <path d={KINDS[type] ?? GLYPHS.box} />
    </svg>
  );
}
