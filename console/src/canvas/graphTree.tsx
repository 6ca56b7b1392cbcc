import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, useMemo, useRef, useState } from "react";
import { actOn } from "@/app/keys";
import { KindMark, StatusMark } from "@/design/status";
import { dependencies, type Graph, successors } from "@/model/graph";
import { say } from "@/model/messages";
import { lookOf } from "@/model/status";
import type { GraphSource } from "./graphStage";
import styles from "./graphStage.module.css";

const ROW = 28;

interface Props {
  source: GraphSource;
  rank: Int32Array;
  text: string;
  setText: (text: string) => void;
}

/**
 * The graph as a tree for keyboard and screen reader: up and down in order of the ranks, left to a
 * dependency, right to a dependent. It shares its selection with the canvas.
 */
export function GraphTree({ source, rank, text, setText }: Props) {
  const { graph, statusOf, otherOf, selected: node, select, wordOf, detailOf, shareOf } = source;
  const scroller = useRef<HTMLDivElement>(null);
  const [focused, setFocused] = useState<number>();
  const order = useMemo(() => {
    const words = text.toLowerCase();
    return graph.nodes
      .map((each, place) => ({ each, place }))
      .filter(({ each }) => `${each.id} ${each.name}`.toLowerCase().includes(words))
      .sort((left, right) => (rank[left.place] ?? 0) - (rank[right.place] ?? 0))
      .map(({ place }) => place);
  }, [graph, rank, text]);
  const virtual = useVirtualizer({
    count: order.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: 10,
  });
  const wordsOf = (id: string) => {
    const word = wordOf?.(id) ?? lookOf(statusOf(id)).word;
    // The progress of a map is a line of the canvas.
    return shareOf(id) === undefined ? word : `${word}, ${detailOf(id)}`;
  };
  const current = focused ?? (node === undefined ? order[0] : graph.index.get(node)) ?? order[0];
  const go = (place: number | undefined) => {
    if (place === undefined) return;
    setFocused(place);
    const index = order.indexOf(place);
    if (index >= 0) virtual.scrollToIndex(index);
    requestAnimationFrame(() => {
      scroller.current?.querySelector<HTMLElement>(`[data-place="${place}"]`)?.focus();
    });
  };
  const keys = (event: KeyboardEvent) => {
    if (current === undefined) return;
    const index = order.indexOf(current);
    actOn("graph", event, {
      ArrowDown: () => go(order[index + 1]),
      ArrowUp: () => go(order[index - 1]),
      ArrowRight: () => go(successors(graph, current)[0]),
      ArrowLeft: () => go(dependencies(graph, current)[0]),
      Home: () => go(order[0]),
      End: () => go(order.at(-1)),
      Enter: () => select(graph.nodes[current]?.id),
      " ": () => select(graph.nodes[current]?.id),
    });
  };
  return (
    <section className={styles.side} aria-label={say("graph.tasks")}>
      <input
        type="search"
        aria-label={say("graph.find")}
        placeholder={say("graph.find")}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <div ref={scroller} className={styles.tree}>
        <div
          role="tree"
          aria-label={say("graph.tree")}
          style={{ height: virtual.getTotalSize(), position: "relative" }}
          onKeyDown={keys}
        >
          {virtual.getVirtualItems().map((item) => {
            const place = order[item.index] as number;
            const each = graph.nodes[place] as Graph["nodes"][number];
            const status = statusOf(each.id);
            const waits = dependencies(graph, place).map((one) => graph.nodes[one]?.name);
            return (
              <div
                key={each.id}
                role="treeitem"
                data-place={place}
                aria-level={(rank[place] ?? 0) + 1}
                aria-selected={node === each.id}
                aria-label={label(each.name, wordsOf(each.id), waits)}
                tabIndex={place === current ? 0 : -1}
                className={styles.item}
                style={{
                  transform: `translateY(${item.start}px)`,
                  paddingInlineStart: 10 + Math.min(8, rank[place] ?? 0) * 10,
                }}
                onClick={() => select(each.id)}
                onFocus={() => setFocused(place)}
              >
                {status === "defined" ? (
                  <KindMark type={each.type} />
                ) : (
                  <StatusMark status={status} />
                )}
                {otherOf && <StatusMark status={otherOf(each.id)} />}
                <bdi className="truncate">{each.name}</bdi>
              </div>
            );
          })}
        </div>
      </div>
    </section>
  );
}

function label(name: string, word: string, waits: readonly (string | undefined)[]): string {
  if (waits.length === 0) return `${name}, ${word}`;
  return say("graph.after", { name, word, tasks: waits.join(", ") });
}
