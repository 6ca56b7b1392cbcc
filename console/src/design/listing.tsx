import type { ReactNode } from "react";
import { say } from "@/model/messages";
import { Button, Empty } from "./primitives";
import { Loading } from "./problem";
import { Table, type TableProps } from "./table";

interface Props<Row> extends TableProps<Row> {
  query: Parameters<typeof Loading>[0]["query"] & {
    isSuccess: boolean;
    isFetching: boolean;
    hasNextPage?: boolean;
    fetchNextPage?: () => unknown;
  };
  /** How many rows are expected. */
  expected?: number;
  /** The title and the hint in place of a table without rows. */
  none: string;
  noneHint?: ReactNode;
}

/** A table of rows that are being loaded, could not be, or are absent, and the next page of them. */
export function Listing<Row>({ query, expected = 6, none, noneHint, ...table }: Props<Row>) {
  return (
    <>
      <Loading query={query} rows={expected} />
      {query.isSuccess && table.rows.length === 0 && (
        <Empty title={none}>
          {noneHint && <p>{noneHint}</p>}
          {table.beside}
        </Empty>
      )}
      {table.rows.length > 0 && <Table {...table} />}
      {query.hasNextPage && (
        <Button disabled={query.isFetching} onClick={() => void query.fetchNextPage?.()}>
          {say("action.more")}
        </Button>
      )}
    </>
  );
}
