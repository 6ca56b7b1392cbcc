import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { read } from "@/api/client";
import type { StateAt } from "@/api/schema";
import { Empty, Fold, Skeleton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { ValueTree } from "@/values/valueTree";
import { useExecution } from "./data";
import styles from "./plain.module.css";

/** Rest of the moment before its values are asked for. */
const REST_MS = 120;

/** Input, outputs, variables and signals, now or at the moment. */
export default function ValuesTab() {
  const { execution, at } = useExecution();
  if (at !== undefined) return <ValuesAt at={at} />;
  if (!execution) return <Skeleton />;
  if (execution.erased) {
    return (
      <Empty title="The values were erased">
        <p>
          {execution.erased.actor} erased them: {execution.erased.reason}
        </p>
      </Empty>
    );
  }
  const outputs = Object.values(execution.tasks).filter((task) => task.output !== undefined);
  return (
    <div className={styles.page}>
      <Section title="Input" value={execution.input} root="input" />
      {execution.output !== undefined && (
        <Section title="Output" value={execution.output} root="output" />
      )}
      {execution.variables && (
        <Section title="Variables" value={execution.variables} root="variables" />
      )}
      {execution.search && Object.keys(execution.search).length > 0 && (
        <Section title="Labels and search attributes" value={execution.search} root="search" />
      )}
      {execution.signals.map((signal) => (
        <Section
          key={`${signal.name} ${signal.receivedAt}`}
          title={`Signal ${signal.name}`}
          value={signal.payload}
          root={`signals.${signal.name}`}
        />
      ))}
      {outputs.map((task) => (
        <Section
          key={task.id}
          title={`Output of ${task.name}`}
          value={task.output}
          root={`tasks.${task.id}.output`}
        />
      ))}
    </div>
  );
}

function ValuesAt({ at }: { at: number }) {
  const { executionId } = useExecution();
  const rested = useRested(at);
  const { data, error, isError, refetch } = useQuery({
    queryKey: ["execution", executionId, "at", rested],
    queryFn: async ({ signal }) =>
      (await read("/api/v1/executions/{executionId}/state", {
        path: { executionId },
        query: { at: rested },
        signal,
      })) as StateAt,
    placeholderData: (before) => before,
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (isError) return <Problem error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton />;
  const { variables } = data;
  return (
    <div className={styles.page} data-testid="values-at" data-sequence={data.sequence}>
      <Section title="Input" value={variables.input} root="input" />
      {data.output !== undefined && <Section title="Output" value={data.output} root="output" />}
      <Section title="Variables" value={variables.declared} root="variables" />
      <Section title="Outputs of tasks" value={variables.tasks} root="tasks" />
      {variables.signals.length > 0 && (
        <Section title="Signals" value={variables.signals} root="signals" />
      )}
    </div>
  );
}

function Section({ title, value, root }: { title: string; value: unknown; root: string }) {
  return (
    <Fold title={title} open>
      <ValueTree value={value} root={root} />
    </Fold>
  );
}

function useRested(at: number): number {
  const [rested, setRested] = useState(at);
  useEffect(() => {
    const timer = setTimeout(() => setRested(at), REST_MS);
    return () => clearTimeout(timer);
  }, [at]);
  return rested;
}
