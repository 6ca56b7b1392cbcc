import { TriangleAlert } from "lucide-react";
import { asProblem } from "@/api/problems";
import { Button, Skeleton } from "./primitives";
import styles from "./problem.module.css";

interface Props {
  error: unknown;
  retry?: (() => void) | undefined;
  title?: string;
}

/** An error: what happened, the reason with its page, and a way on. */
export function Problem({ error, retry, title = "This could not be loaded" }: Props) {
  const problem = asProblem(error);
  const details = problem.details.filter((each) => !problem.message.includes(each.description));
  return (
    <div className={styles.problem} role="alert">
      <TriangleAlert size={16} aria-hidden />
      <div>
        <p className={styles.title}>{title}</p>
        <p>{problem.message}</p>
        {details.length > 0 && (
          <ul className={styles.details}>
            {details.map((detail) => (
              <li key={`${detail.field} ${detail.description}`}>
                <code>{detail.field}</code> {detail.description}
              </li>
            ))}
          </ul>
        )}
        <p className={styles.foot}>
          <code>{problem.reason}</code>
          {retry && (
            <Button small onClick={retry}>
              Try again
            </Button>
          )}
        </p>
      </div>
    </div>
  );
}

interface LoadingProps {
  query: { isPending: boolean; isError: boolean; error: unknown; refetch: () => unknown };
  /** How many rows are expected. */
  rows?: number;
}

/** What stands in place of data that is being loaded, or could not be. */
export function Loading({ query, rows }: LoadingProps) {
  if (query.isPending) return <Skeleton rows={rows} />;
  if (!query.isError) return null;
  return <Problem error={query.error} retry={() => void query.refetch()} />;
}
