import { useQuery } from "@tanstack/react-query";
import { read } from "@/api/client";
import { Problem } from "@/design/problem";
import { count } from "@/model/durations";
import { quoted } from "@/model/filter";
import { say } from "@/model/messages";
import styles from "./page.module.css";

const GROUPS_MAX = 10;
const LISTED = "status = failed AND dead_letter = null";

/** Executions that failed alike: the same workflow with the same class of error. */
export interface Group {
  label: string;
  count: number;
  /** The filter of its executions. */
  filter: string;
}

/** All groups as the server counts them, the largest first. */
export function useGroups() {
  return useQuery({
    queryKey: ["dead-letters", "groups"],
    queryFn: async ({ signal }) => {
      const query = { filter: LISTED, groupBy: ["workflow", "error.class"] };
      const { groups } = await read("/api/v1/executions:count", { query, signal });
      return groups.map(({ values, count }): Group => {
        const { workflow = "", "error.class": error = "" } = values;
        const same = error ? `error.class = ${quoted(error)}` : "error.class = null";
        return {
          label: `${workflow}: ${error}`,
          count,
          filter: `${LISTED} AND workflow = ${quoted(workflow)} AND ${same}`,
        };
      });
    },
  });
}

interface Props {
  chosen: Group | undefined;
  choose: (group: Group | undefined) => void;
}

/** The largest groups; a click shows one alone. */
export function Groups({ chosen, choose }: Props) {
  const { data: groups = [], isError, error } = useGroups();
  if (isError) return <Problem error={error} />;
  return (
    <ul className={styles.groups} aria-label={say("letters.groups")}>
      {groups.slice(0, GROUPS_MAX).map((group) => (
        <li key={group.label}>
          <button
            type="button"
            aria-pressed={chosen?.label === group.label}
            title={group.label}
            onClick={() => choose(chosen?.label === group.label ? undefined : group)}
          >
            <bdi className="truncate">{group.label}</bdi>
            <span className="numbers">{count(group.count)}</span>
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
