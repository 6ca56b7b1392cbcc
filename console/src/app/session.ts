import { queryOptions } from "@tanstack/react-query";
import { read } from "@/api/client";
import { setServerTime } from "@/design/useNow";

/** The caller, the version of the server, and its time. */
export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: async ({ signal }) => {
    const session = await read("/api/v1/console/session", { signal });
    setServerTime(Date.parse(session.time));
    return session;
  },
  staleTime: Number.POSITIVE_INFINITY,
});
