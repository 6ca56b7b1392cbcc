import { queryOptions } from "@tanstack/react-query";
import { read } from "./client";
import type { MapWorkflow } from "./schema";

const PAGES_MAX = 10;

/** All workflows with their tasks, edges and services; `capped` if there are more. */
export const workflowMap = queryOptions({
  queryKey: ["workflow-map"],
  queryFn: async ({ signal }) => {
    const workflows: MapWorkflow[] = [];
    let pageToken = "";
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const found = await read("/api/v1/workflows:map", { query: { pageToken }, signal });
      workflows.push(...found.workflows);
      pageToken = found.nextPageToken;
      if (!pageToken) break;
    }
    return { workflows, capped: !!pageToken };
  },
});
