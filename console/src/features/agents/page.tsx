import "../../../messages/agents";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { read } from "@/api/client";
import type { AgentValue, ScalingPolicyValue, SpecValue } from "@/api/schema";
import { Page } from "@/app/pageHeader";
import { Listing } from "@/design/listing";
import { Time } from "@/design/primitives";
import { Status } from "@/design/status";
import { type Column, Share, Table } from "@/design/table";
import { say } from "@/model/messages";
import { Decisions } from "./decisions";
import { Findings } from "./findings";

const REFRESH_MS = 2_000;
const MIB = 1_048_576;

/** Specs, agents, policies, and the decisions on their number. */
export function AgentsPage() {
  const specs = useQuery({
    queryKey: ["agents", "specs"],
    queryFn: ({ signal }) => read("/api/v1/agent-specs", { signal }),
    refetchInterval: REFRESH_MS,
  });
  const agents = useQuery({
    queryKey: ["agents", "agents"],
    queryFn: ({ signal }) => read("/api/v1/agents", { query: { ended: false }, signal }),
    refetchInterval: REFRESH_MS,
  });
  const policies = useQuery({
    queryKey: ["agents", "policies"],
    queryFn: ({ signal }) => read("/api/v1/scaling-policies", { signal }),
    refetchInterval: REFRESH_MS,
  });
  const [stored, running, rules] = [
    specs.data?.specs ?? [],
    agents.data?.agents ?? [],
    policies.data?.policies ?? [],
  ];
  return (
    <Page
      title={say("agents.title")}
      actions={
        <Link to="/workers" className="muted">
          {say("agents.workers")}
        </Link>
      }
    >
      <Findings />
      <Listing
        query={specs}
        expected={6}
        none={say("agents.none")}
        noneHint={say("agents.noneHint")}
        title={say("agents.specs", { count: stored.length })}
        columns={SPECS}
        rows={stored}
        keyOf={(each) => each.spec.spec}
      />
      {running.length > 0 && (
        <Table
          title={say("agents.agents", { count: running.length })}
          columns={AGENTS}
          rows={running}
          keyOf={(each) => each.agentId}
        />
      )}
      {rules.length > 0 && (
        <>
          <Table
            title={say("agents.policies")}
            columns={POLICIES}
            rows={rules}
            keyOf={(each) => each.policy}
          />
          <Decisions specs={rules.map((each) => each.spec)} />
        </>
      )}
    </Page>
  );
}

const SPECS: readonly Column<SpecValue>[] = [
  { head: say("agents.spec"), as: "id", cell: (each) => each.spec.spec },
  { head: say("agents.version"), as: "numbers", cell: (each) => each.version },
  {
    head: say("agents.ready"),
    cell: ({ ready, wanted, spec }) => (
      <Share part={ready} whole={wanted} label={say("agents.readyOf", { spec: spec.spec })} />
    ),
  },
  { head: say("agents.command"), as: "code", cell: (each) => each.spec.command.join(" ") },
  { head: say("agents.queues"), as: "text", cell: (each) => each.spec.queues.join(", ") || "–" },
  { head: say("agents.problem"), as: "text", cell: (each) => each.problem || "–" },
];

const AGENTS: readonly Column<AgentValue>[] = [
  { head: say("agents.agent"), as: "id", cell: (each) => each.agentId },
  { head: say("agents.spec"), as: "id", cell: (each) => each.spec },
  { head: say("agents.state"), cell: (each) => <Status status={STATES[each.state]} /> },
  {
    head: say("agents.slots"),
    cell: ({ agentId, busy, slots }) => (
      <Share part={busy} whole={slots} label={say("agents.slotsOf", { agent: agentId })} />
    ),
  },
  { head: say("agents.cpu"), as: "numbers", cell: (each) => `${Math.round(each.cpu * 100)} %` },
  {
    head: say("agents.memory"),
    as: "numbers",
    cell: (each) => `${Math.round(each.memoryBytes / MIB)} MiB`,
  },
  { head: say("agents.since"), as: "muted", cell: (each) => <Time at={each.createdAt} /> },
  { head: say("agents.reason"), as: "text", cell: (each) => each.reason || "–" },
];

/** The words of statuses whose look a state has. */
const STATES: Record<AgentValue["state"], string> = {
  pending: "pending",
  starting: "running",
  ready: "healthy",
  degraded: "degraded",
  draining: "waiting",
  stopped: "offline",
  failed: "failed",
};

const POLICIES: readonly Column<ScalingPolicyValue>[] = [
  { head: say("agents.policy"), as: "id", cell: (each) => each.policy },
  { head: say("agents.spec"), as: "id", cell: (each) => each.spec },
  { head: say("agents.strategy"), as: "code", cell: (each) => each.strategy },
  { head: say("agents.bounds"), as: "numbers", cell: (each) => `${each.min} – ${each.max}` },
];
