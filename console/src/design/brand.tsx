import styles from "./brand.module.css";

export function BrandMark({ size = 26 }: { size?: number }) {
  return (
    <svg viewBox="0 0 32 32" width={size} height={size} aria-hidden>
      <rect width="32" height="32" rx="8" className={styles.box} />
      <path d="M9 10h5c4 0 4 12 9 12M9 22h5c4 0 4-12 9-12" className={styles.line} />
    </svg>
  );
}
