/** The texts of the page of agents. */

import { teach } from "../src/model/messages";

export const agents = {
  "agents.title": "Agents",
  "agents.workers": "Workers",
  "agents.none": "No agents",
  "agents.noneHint": "flowmesh agent spec apply stores how a worker is started and kept running.",
  "agents.specs": "{count, plural, one {# spec} other {# specs}}",
  "agents.agents": "{count, plural, one {# agent} other {# agents}}",
  "agents.policies": "Scaling policies",
  "agents.decisions": "Last decisions",
  "agents.findings": "Fewer agents than tasks need",
  "agents.chart": "Wish and count of {spec}",
  "agents.noDecisions": "No policy has decided yet",
  "agents.wish": "Wish",
  "agents.count": "Count",
  "agents.spec": "Spec",
  "agents.version": "Version",
  "agents.ready": "Ready",
  "agents.readyOf": "Ready agents of {spec}",
  "agents.command": "Command",
  "agents.queues": "Queues",
  "agents.problem": "Problem",
  "agents.agent": "Agent",
  "agents.state": "State",
  "agents.slots": "Busy slots",
  "agents.slotsOf": "Busy slots of {agent}",
  "agents.cpu": "Processor",
  "agents.memory": "Memory",
  "agents.since": "Started",
  "agents.reason": "Reason",
  "agents.policy": "Policy",
  "agents.strategy": "Strategy",
  "agents.bounds": "Agents",
  "agents.at": "Time",
  "agents.change": "Change",
  "agents.held": "Held by",
} as const;

teach(agents);
