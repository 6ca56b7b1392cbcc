import type { DeadLetterValue } from "@/api/schema";
import { count } from "@/model/durations";
import { say } from "@/model/messages";
import styles from "./page.module.css";

const GROUPS_MAX = 10;

/** Letters that failed alike: the same task of the same workflow with the same error class. */
export function groupOf(letter: DeadLetterValue): string {
  return `${letter.workflow} / ${letter.task}: ${letter.error.class}`;
}

interface Props {
  letters: readonly DeadLetterValue[];
  chosen: string | undefined;
  choose: (group: string | undefined) => void;
}

/** The groups of the loaded letters, the largest first; a click shows one alone. */
export function Groups({ letters, chosen, choose }: Props) {
  const counts = new Map<string, number>();
  for (const letter of letters) {
    counts.set(groupOf(letter), (counts.get(groupOf(letter)) ?? 0) + 1);
  }
  const groups = [...counts].sort(([, left], [, right]) => right - left);
  return (
    <ul className={styles.groups} aria-label={say("letters.groups")}>
      {groups.slice(0, GROUPS_MAX).map(([group, size]) => (
        <li key={group}>
          <button
            type="button"
            aria-pressed={chosen === group}
            title={group}
            onClick={() => choose(chosen === group ? undefined : group)}
          >
            <bdi className="truncate">{group}</bdi>
            <span className="numbers">{count(size)}</span>
          </button>
        </li>
      ))}
      {groups.length > GROUPS_MAX && (
        <li className="muted">
          {say("letters.otherGroups", { count: groups.length - GROUPS_MAX })}
        </li>
      )}
    </ul>
  );
}
