import { type PointerEvent, useCallback, useMemo, useRef } from "react";
import { useColours } from "@/canvas/palette";
import { useCanvas } from "@/canvas/surface";
import { plural } from "@/model/durations";
import { lookOf } from "@/model/status";
import { useExecution } from "./data";
import styles from "./inspector.module.css";

const CELL = 12;
/** By how telling a status is of its item: the first that a node of it has. */
const TELLING = [
  "failed",
  "onHold",
  "asking",
  "stopped",
  "retrying",
  "running",
  "waiting",
  "queued",
  "canceled",
  "success",
  "skipped",
];

interface Item {
  number: number;
  status: string;
  node: string;
}

/** The items of a map or the rounds of a loop as a grid of cells; a click selects one. */
export function Items({ node }: { node: string }) {
  const { history, version, statusOf, at, progress } = useExecution();
  // biome-ignore lint/correctness/useExhaustiveDependencies: version and moment stand for statuses
  const items = useMemo(() => itemsOf(node, history.nodes.keys(), statusOf), [node, version, at]);
  const total = Math.max(items.length, progress?.maps[node]?.total ?? 0);
  return total > 0 ? <Grid items={items} total={total} /> : null;
}

function Grid({ items, total }: { items: readonly Item[]; total: number }) {
  const { select } = useExecution();
  const canvas = useRef<HTMLCanvasElement>(null);
  const colours = useColours();
  const draw = useCallback(
    (context: CanvasRenderingContext2D, width: number) => {
      const columns = Math.max(1, Math.floor(width / CELL));
      for (let place = 0; place < total; place += 1) {
        const item = items[place];
        const { family } = lookOf(item?.status ?? "pending");
        context.globalAlpha = item ? 0.85 : 0.25;
        context.fillStyle = colours.family[family];
        const [x, y] = [(place % columns) * CELL, Math.floor(place / columns) * CELL];
        context.fillRect(x, y, CELL - 2, CELL - 2);
      }
      context.globalAlpha = 1;
    },
    [items, total, colours],
  );
  useCanvas(canvas, draw);
  const placeOf = (event: PointerEvent<HTMLCanvasElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    const columns = Math.max(1, Math.floor(box.width / CELL));
    const row = Math.floor((event.clientY - box.top) / CELL);
    return items[row * columns + Math.floor((event.clientX - box.left) / CELL)];
  };
  const failed = items.filter((item) => item.status === "failed");
  return (
    <section>
      <h3>{plural(total, "item")}</h3>
      <canvas
        ref={canvas}
        className={styles.items}
        style={{ height: Math.ceil(total / 28) * CELL + CELL }}
        onPointerUp={(event) => select(placeOf(event)?.node)}
        aria-hidden
        data-testid="items"
      />
      <p className="muted">{summary(items)}</p>
      {failed.slice(0, 20).map((item) => (
        <button
          key={item.number}
          type="button"
          className={styles.item}
          onClick={() => select(item.node)}
        >
          Item {item.number} failed
        </button>
      ))}
    </section>
  );
}

function itemsOf(owner: string, ids: Iterable<string>, statusOf: (id: string) => string): Item[] {
  const found = new Map<number, Item>();
  for (const id of ids) {
    if (!id.startsWith(`${owner}[`)) continue;
    const end = id.indexOf("]", owner.length);
    const number = Number(id.slice(owner.length + 1, end));
    const status = statusOf(id);
    const known = found.get(number);
    if (known && TELLING.indexOf(known.status) <= TELLING.indexOf(status)) continue;
    if (status !== "pending") found.set(number, { number, status, node: id });
  }
  return [...found.values()].sort((left, right) => left.number - right.number);
}

function summary(items: readonly Item[]): string {
  const counts = new Map<string, number>();
  for (const { status } of items) counts.set(status, (counts.get(status) ?? 0) + 1);
  return [...counts]
    .map(([status, many]) => `${many} ${lookOf(status).word.toLowerCase()}`)
    .join(", ");
}
