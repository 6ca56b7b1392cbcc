import { type KeyboardEvent, type PointerEvent, useState } from "react";
import styles from "./splitter.module.css";

const LEAST = 260;
const MOST = 900;
const STEP = 24;

/** A width that is kept in this browser. */
export function useWidth(name: string, initial: number): [number, (width: number) => void] {
  const key = `flowmesh.width.${name}`;
  const [width, setWidth] = useState(() => Number(localStorage.getItem(key)) || initial);
  const set = (next: number) => {
    const bounded = Math.min(MOST, Math.max(LEAST, Math.round(next)));
    localStorage.setItem(key, String(bounded));
    setWidth(bounded);
  };
  return [width, set];
}

interface Props {
  width: number;
  setWidth: (width: number) => void;
  label: string;
}

/** The left edge of a panel, moved by pointer or by arrow keys. */
export function Splitter({ width, setWidth, label }: Props) {
  const drag = (event: PointerEvent<HTMLDivElement>) => {
    const handle = event.currentTarget;
    const from = event.clientX;
    handle.setPointerCapture(event.pointerId);
    handle.onpointermove = (move) => setWidth(width + from - move.clientX);
    handle.onpointerup = () => {
      handle.onpointermove = null;
    };
  };
  const key = (event: KeyboardEvent) => {
    const step = { ArrowLeft: STEP, ArrowRight: -STEP }[event.key];
    if (!step) return;
    event.preventDefault();
    setWidth(width + step);
  };
  return (
    <div
      role="separator"
      aria-orientation="vertical"
      aria-label={label}
      aria-valuenow={width}
      aria-valuemin={LEAST}
      aria-valuemax={MOST}
      tabIndex={0}
      className={styles.splitter}
      onPointerDown={drag}
      onKeyDown={key}
    />
  );
}
