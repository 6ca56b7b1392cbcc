import type { ReactNode } from "react";
import { Skeleton } from "@/design/primitives";
import { Problem } from "@/design/problem";

export interface Times {
  from: string;
  to: string;
}

export interface AnswerProps {
  query: { data: { text?: string } | undefined; error: Error | null; refetch: () => unknown };
  children: ReactNode;
}

/** The sentence, and below it the figures. */
export function Answer({ query: { data, error, refetch }, children }: AnswerProps) {
  if (error) return <Problem error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton rows={4} />;
  return (
    <>
      {data.text && (
        <p>
          <strong>{data.text}</strong>
        </p>
      )}
      {children}
    </>
  );
}
