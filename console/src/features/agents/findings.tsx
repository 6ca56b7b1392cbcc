import { useQuery } from "@tanstack/react-query";
import { read } from "@/api/client";
import { say } from "@/model/messages";
import styles from "./page.module.css";

const REFRESH_MS = 5_000;

/** The cause of each spec that has fewer agents than its tasks need. */
export function Findings() {
  const { data } = useQuery({
    queryKey: ["agents", "findings"],
    queryFn: ({ signal }) => read("/api/v1/agent-findings", { signal }),
    refetchInterval: REFRESH_MS,
  });
  const found = data?.findings ?? [];
  if (found.length === 0) return null;
  return (
    <section role="alert" className={styles.alone}>
      <h2>{say("agents.findings")}</h2>
      <ul>
        {found.map(({ spec, cause, evidence }) => (
          <li key={`${spec} ${cause} ${evidence}`}>
            <code>{cause}</code> <bdi>{spec ? `${spec}: ${evidence}` : evidence}</bdi>
          </li>
        ))}
      </ul>
    </section>
  );
}
