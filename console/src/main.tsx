import "@/design/fonts.css";
import "@/design/tokens.css";
import "@/design/base.css";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { asProblem } from "@/api/problems";
import { followTheme } from "@/app/preferences";
import { router } from "@/app/routes";

const RETRIES_MAX = 2;

followTheme();
const client = new QueryClient({
  defaultOptions: {
    queries: {
      // Answers are refreshed by events, never by a timer or by the focus of a window.
      refetchOnWindowFocus: false,
      staleTime: 2_000,
      retry: (failures, error) => failures < RETRIES_MAX && asProblem(error).temporary,
    },
  },
});
const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </StrictMode>,
  );
}
