import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { read } from "@/api/client";
import { readSource } from "@/api/definitions";
import { Skeleton, Time } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";
import { partOf } from "@/text/part";
import { TextDiff } from "@/values/textDiff";
import styles from "./page.module.css";

const route = getRouteApi("/workflows/$workflowId");

interface Props {
  name: string;
  newest: number;
}

/** The versions, newest first, and the text differences of two of them. */
export function Versions({ name, newest }: Props) {
  const { from = Math.max(1, newest - 1), to = newest } = route.useSearch();
  const navigate = route.useNavigate();
  const versions = useQuery({
    queryKey: ["workflow", name, "versions"],
    queryFn: ({ signal }) =>
      read("/api/v1/workflows/{name}/versions", {
        path: { name },
        query: { pageSize: 50 },
        signal,
      }),
  });
  const numbers = versions.data?.versions.map((each) => each.version) ?? [];
  const choice = (side: "from" | "to", value: number) => (
    <label>
      {say(`workflow.${side}`)}{" "}
      <select
        value={value}
        onChange={(event) =>
          void navigate({ search: { from, to, [side]: Number(event.target.value) } })
        }
      >
        {numbers.map((each) => (
          <option key={each}>{each}</option>
        ))}
      </select>
    </label>
  );
  return (
    <section aria-label={say("workflow.versions")} className={styles.wide}>
      <h2>{say("workflow.versions")}</h2>
      {versions.isPending && <Skeleton rows={3} />}
      {versions.isError && <Problem error={versions.error} />}
      <ul>
        {versions.data?.versions.map((each) => (
          <li key={each.version}>
            {say("workflow.version", { version: each.version })}{" "}
            <span className="muted">
              <Time at={each.createdAt} />
            </span>
          </li>
        ))}
      </ul>
      <h3>{say("workflow.diff")}</h3>
      <p className={styles.choices}>
        {choice("from", from)} {choice("to", to)}
      </p>
      <Differences name={name} from={from} to={to} />
    </section>
  );
}

function Differences({ name, from, to }: { name: string; from: number; to: number }) {
  const left = useSource(name, from);
  const right = useSource(name, to);
  if (left.isError) return <Problem error={left.error} />;
  if (right.isError) return <Problem error={right.error} />;
  if (!left.data || !right.data) return <Skeleton rows={3} />;
  return <TextDiff before={partOf(left.data.text, name)} after={partOf(right.data.text, name)} />;
}

function useSource(name: string, version: number) {
  return useQuery({
    queryKey: ["workflow", name, "source", version],
    queryFn: ({ signal }) => readSource(name, String(version), signal),
  });
}
