import { useNavigate } from "@tanstack/react-router";
import type { WorkflowSummary } from "@/api/schema";
import { Menu, MenuItem } from "@/design/menu";
import { StatusMark } from "@/design/status";
import { say } from "@/model/messages";
import { lookOf } from "@/model/status";
import styles from "./page.module.css";

export const BARS = 20;
const WIDTH = 7;
const HEIGHT = 20;
/** Heights by status, so that colour is not all that tells them apart. */
const HEIGHTS: Record<string, number> = { failed: 20, running: 9, completed: 14 };
const OTHER_HEIGHT = 5;

/** The last executions as bars, the newest right; a menu leads to each of them. */
export function Recent({ recent }: { recent: WorkflowSummary["recent"] }) {
  const navigate = useNavigate();
  if (recent.length === 0) return <span className="muted">{say("workflows.never")}</span>;
  const shown = recent.slice(0, BARS).reverse();
  const label = say("workflows.recent", { count: recent.length, statuses: countsOf(recent) });
  return (
    <Menu
      label={say("workflows.recentMenu")}
      align="start"
      trigger={
        <button type="button" className={styles.bars} aria-label={label} title={label}>
          <svg width={BARS * WIDTH} height={HEIGHT} aria-hidden>
            {shown.map(({ executionId, status }, place) => {
              const high = HEIGHTS[status] ?? OTHER_HEIGHT;
              return (
                <rect
                  key={executionId}
                  data-family={lookOf(status).family}
                  x={(BARS - shown.length + place) * WIDTH}
                  y={HEIGHT - high}
                  width={WIDTH - 2}
                  height={high}
                  rx={1}
                />
              );
            })}
          </svg>
        </button>
      }
    >
      {recent.slice(0, BARS).map(({ executionId, status }) => (
        <MenuItem
          key={executionId}
          icon={<StatusMark status={status} named />}
          onSelect={() =>
            void navigate({ to: "/executions/$executionId", params: { executionId } })
          }
        >
          <code>{executionId}</code>
        </MenuItem>
      ))}
    </Menu>
  );
}

/** `5 completed, 1 failed`, by how many there are. */
function countsOf(recent: WorkflowSummary["recent"]): string {
  const counts = new Map<string, number>();
  for (const { status } of recent) counts.set(status, (counts.get(status) ?? 0) + 1);
  return [...counts]
    .sort(([, left], [, right]) => right - left)
    .map(([status, number]) => `${number} ${lookOf(status).word.toLowerCase()}`)
    .join(", ");
}
