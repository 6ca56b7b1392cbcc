import { useQuery } from "@tanstack/react-query";
import type { ListSearch } from "@/app/routes";
import { StatusMark } from "@/design/status";
import { count } from "@/model/durations";
import { quoted, splitAnd, toggled } from "@/model/filter";
import { say } from "@/model/messages";
import { lookOf } from "@/model/status";
import styles from "./facets.module.css";
import { FACETS, facetQuery } from "./queries";

const LABELS: Record<string, string> = {
  status: say("executions.status"),
  workflow: say("executions.workflow"),
  "error.class": say("executions.errorClass"),
};
const SHOWN_MAX = 12;

interface Props {
  search: ListSearch;
  change: (values: Partial<ListSearch>) => void;
  /** Whether the rows are there: counts must not delay them. */
  ready: boolean;
}

/** Counts of the matching executions by their most telling values; a click filters by one. */
export function Facets({ search, change, ready }: Props) {
  return (
    <aside className={styles.facets} aria-label={say("executions.facets")}>
      {FACETS.map((name) => (
        <Facet key={name} name={name} search={search} change={change} ready={ready} />
      ))}
    </aside>
  );
}

function Facet({ name, search, change, ready }: Props & { name: string }) {
  const { data, isError } = useQuery({ ...facetQuery(search, name), enabled: ready });
  const groups = (data?.groups ?? []).filter((group) => group.values[name]);
  const terms = splitAnd(search.q ?? "");
  if (groups.length === 0 && !isError) return null;
  const most = Math.max(...groups.map((group) => group.count));
  return (
    <section>
      <h2>{LABELS[name]}</h2>
      {isError && <p className="muted">{say("executions.noCounts")}</p>}
      <ul>
        {groups.slice(0, SHOWN_MAX).map((group) => {
          const value = group.values[name] ?? "";
          const term = `${name} = ${quoted(value)}`;
          return (
            <li key={value}>
              <button
                type="button"
                className={styles.value}
                aria-pressed={terms.includes(term)}
                title={value}
                onClick={() => change({ q: toggled(search.q ?? "", term) || undefined })}
              >
                {name === "status" && <StatusMark status={value} />}
                <bdi className="truncate">{name === "status" ? lookOf(value).word : value}</bdi>
                <span className="numbers">{count(group.count)}</span>
                <meter min={0} max={most} value={group.count} aria-hidden />
              </button>
            </li>
          );
        })}
      </ul>
      {groups.length > SHOWN_MAX && (
        <p className={styles.more}>
          {say("executions.moreValues", { count: groups.length - SHOWN_MAX })}
        </p>
      )}
    </section>
  );
}
