/** A backfill as `flowmesh backfill` does it: one start per cause, with an id made of the cause. */

import { read, write } from "@/api/client";
import { asProblem } from "@/api/problems";
import type { CauseValue, TriggerValue } from "@/api/schema";

export interface BackfillState {
  /** Causes with an execution: a new one, or that of an earlier start. */
  accepted: number;
  failed: number;
  problems: string[];
  running: boolean;
}

interface Options {
  trigger: TriggerValue;
  range: { from: string; to: string };
  atOnce: number;
  signal: AbortSignal;
  report: (state: BackfillState) => void;
}

const PAGE_SIZE = 200;
const PROBLEMS_MAX = 20;

export async function backfill({ trigger, range, atOnce, signal, report }: Options): Promise<void> {
  const state: BackfillState = { accepted: 0, failed: 0, problems: [], running: true };
  const path = { name: trigger.workflow, trigger: trigger.id };
  report({ ...state });
  for (let pageToken = ""; !signal.aborted; ) {
    const page = await read("/api/v1/workflows/{name}/triggers/{trigger}/causes", {
      path,
      query: { ...range, pageSize: PAGE_SIZE, pageToken },
      signal,
    });
    const waiting = [...page.causes];
    const one = async () => {
      for (let next = waiting.shift(); next && !signal.aborted; next = waiting.shift()) {
        await start(trigger.workflow, next, state);
        report({ ...state });
      }
    };
    await Promise.all(Array.from({ length: atOnce }, one));
    pageToken = page.nextPageToken;
    if (!pageToken) break;
  }
  report({ ...state, running: false });
}

async function start(workflow: string, cause: CauseValue, state: BackfillState): Promise<void> {
  if (cause.error) {
    note(state, `${cause.name}: ${cause.error}`);
    return;
  }
  try {
    await write("POST /api/v1/workflows/{name}/start", {
      path: { name: workflow },
      body: { input: cause.input as Record<string, unknown>, requestId: cause.requestId },
      key: cause.requestId,
    });
    state.accepted += 1;
  } catch (raised) {
    const problem = asProblem(raised);
    if (problem.temporary) throw problem;
    note(state, `${cause.name}: ${problem.message}`);
  }
}

function note(state: BackfillState, problem: string): void {
  state.failed += 1;
  if (state.problems.length < PROBLEMS_MAX) state.problems = [...state.problems, problem];
}
