/** The last executions of a workflow as columns, its tasks as rows. */

import { Link } from "@tanstack/react-router";
import { type KeyboardEvent, useLayoutEffect, useRef } from "react";
import type { GridAnswer, GridCell } from "@/api/schema";
import { actOn } from "@/app/keys";
import { Empty } from "@/design/primitives";
import { StatusMark } from "@/design/status";
import { serverNow } from "@/design/useNow";
import { duration, relative } from "@/model/durations";
import { say } from "@/model/messages";
import { lookOf } from "@/model/status";
import styles from "./runGrid.module.css";

export function RunGrid({ grid }: { grid: GridAnswer }) {
  const box = useRef<HTMLDivElement>(null);
  // The newest execution stands at the right, as in a timeline.
  const columns = grid.executions.toReversed();
  // biome-ignore lint/correctness/useExhaustiveDependencies: further executions are brought into view
  useLayoutEffect(() => {
    box.current?.scrollTo({ left: box.current.scrollWidth });
  }, [columns.length]);
  if (columns.length === 0) {
    return (
      <Empty title={say("grid.none")}>
        <p>{say("grid.noneText")}</p>
      </Empty>
    );
  }
  const longest = Math.max(1, ...columns.map((each) => each.durationMs ?? 0));
  return (
    <div
      ref={box}
      className={styles.scroller}
      data-testid="runs"
      role="group"
      aria-label={say("grid.name")}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls is reached by keys
      tabIndex={0}
    >
      <table className={styles.grid} onKeyDown={(event) => move(event, box.current)}>
        <thead>
          <tr>
            <th scope="col" className={styles.corner}>
              {say("grid.executions", { count: columns.length })}
            </th>
            {columns.map((each) => (
              <th key={each.executionId} scope="col">
                <Link
                  to="/executions/$executionId"
                  params={{ executionId: each.executionId }}
                  className={styles.column}
                  title={titleOf(each)}
                  aria-label={titleOf(each)}
                >
                  <span
                    className={styles.bar}
                    data-family={lookOf(each.status).family}
                    style={{ height: `${8 + (36 * (each.durationMs ?? longest)) / longest}px` }}
                  />
                  <StatusMark status={each.status} />
                </Link>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {grid.tasks.map((task) => (
            <tr key={task}>
              <th scope="row" title={task}>
                <bdi>{task}</bdi>
              </th>
              {columns.map((each) => (
                <td key={each.executionId}>
                  <Cell
                    cell={each.tasks[task]}
                    task={task}
                    executionId={each.executionId}
                    first={task === grid.tasks[0] && each === columns[0]}
                  />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {grid.tasksCapped && <p className="muted">{say("grid.capped")}</p>}
    </div>
  );
}

interface CellProps {
  cell: GridCell | undefined;
  task: string;
  executionId: string;
  first: boolean;
}

function Cell({ cell, task, executionId, first }: CellProps) {
  if (!cell) return <span className={styles.none} title={say("grid.absent", { task })} />;
  const look = lookOf(cell.status);
  const attempts = cell.attempts > 1 ? `, ${cell.attempts} attempts` : "";
  const took = cell.durationMs === undefined ? "" : `, ${duration(cell.durationMs)}`;
  return (
    <Link
      to="/executions/$executionId"
      params={{ executionId }}
      search={{ node: task }}
      className={styles.cell}
      data-family={look.family}
      data-status={cell.status}
      tabIndex={first ? 0 : -1}
      title={`${task}: ${look.word}${took}${attempts}`}
      aria-label={`${task}: ${look.word}${took}${attempts}`}
    >
      <StatusMark status={cell.status} />
      {cell.attempts > 1 && <sup className="numbers">{cell.attempts}</sup>}
    </Link>
  );
}

function titleOf(column: GridAnswer["executions"][number]): string {
  const took = column.durationMs === undefined ? "" : `, ${duration(column.durationMs)}`;
  const start = column.startedAt
    ? `, started ${relative(Date.parse(column.startedAt), serverNow())}`
    : "";
  return `${column.executionId}: ${lookOf(column.status).word}${took}${start}`;
}

/** Arrows move between the cells; one cell is in the order of the page. */
function move(event: KeyboardEvent, box: HTMLElement | null): void {
  const cell = (event.target as HTMLElement).closest("td");
  if (!cell || !box) return;
  actOn("grid", event, {
    ArrowRight: () => step(cell, box, [0, 1]),
    ArrowLeft: () => step(cell, box, [0, -1]),
    ArrowDown: () => step(cell, box, [1, 0]),
    ArrowUp: () => step(cell, box, [-1, 0]),
  });
}

function step(
  cell: HTMLTableCellElement,
  box: HTMLElement,
  [down, right]: readonly [number, number],
): void {
  const row = cell.parentElement as HTMLTableRowElement;
  const table = row.parentElement as HTMLTableSectionElement;
  const next = table.rows[row.sectionRowIndex + down]?.cells[cell.cellIndex + right];
  const link = next?.querySelector("a");
  if (!link) return;
  for (const each of box.querySelectorAll("tbody a")) each.setAttribute("tabindex", "-1");
  link.setAttribute("tabindex", "0");
  link.focus();
}
