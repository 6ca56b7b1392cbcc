import { useInfiniteQuery } from "@tanstack/react-query";
import { read } from "@/api/client";
import type { PendingApproval } from "@/api/schema";

const PAGE_SIZE = 100;

/** Pending approvals, oldest first. */
export function useInbox(assignee: string | undefined) {
  return useInfiniteQuery({
    queryKey: ["approvals", assignee ?? ""],
    queryFn: ({ pageParam, signal }) =>
      read("/api/v1/approvals", {
        query: { assignee, pageSize: PAGE_SIZE, pageToken: pageParam },
        signal,
      }),
    initialPageParam: "",
    getNextPageParam: (last) => last.nextPageToken || undefined,
  });
}

/** An approval as part of an address. */
export function keyOf(approval: PendingApproval): string {
  return `${approval.executionId}/${approval.task}`;
}
