/** Boxes with lines between them, in a frame that scrolls: the maps of services and of workflows. */

import type { ReactNode, Ref } from "react";
import styles from "./boxPicture.module.css";

interface Props {
  name: string;
  width: number;
  height: number;
  /** Elements of SVG. */
  lines: ReactNode;
  /** Boxes and texts, placed absolutely. */
  children: ReactNode;
  className: string | undefined;
  frame?: Ref<HTMLDivElement>;
}

export function BoxPicture({ name, width, height, lines, children, className, frame }: Props) {
  return (
    <div
      ref={frame}
      className={`${styles.frame} ${className}`}
      role="group"
      aria-label={name}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls is reached by keys
      tabIndex={0}
    >
      <div className={styles.picture} style={{ width, height }}>
        <svg width={width} height={height} aria-hidden>
          <title>{name}</title>
          {lines}
        </svg>
        {children}
      </div>
    </div>
  );
}

export interface Point {
  x: number;
  y: number;
}

/** The path through points, level at each of them. */
export function curve([first, ...rest]: readonly Point[]): string {
  if (!first) return "";
  let before = first;
  const parts = rest.map((point) => {
    const half = (before.x + point.x) / 2;
    const part = `C${half} ${before.y} ${half} ${point.y} ${point.x} ${point.y}`;
    before = point;
    return part;
  });
  return `M${first.x} ${first.y} ${parts.join(" ")}`;
}
