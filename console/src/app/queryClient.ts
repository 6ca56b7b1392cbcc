import { QueryClient } from "@tanstack/react-query";
import { asProblem } from "@/api/problems";

const RETRIES_MAX = 2;

/** The answers of the server that the pages share. */
export const client = new QueryClient({
  defaultOptions: {
    queries: {
      // Answers are refreshed by events, never by a timer or by the focus of a window.
      refetchOnWindowFocus: false,
      staleTime: 2_000,
      retry: (failures, error) => failures < RETRIES_MAX && asProblem(error).temporary,
    },
  },
});
