/** Entries of the rail; `G` and the key lead there. */

import {
  House,
  Layers,
  type LucideIcon,
  MailWarning,
  Rows3,
  Settings,
  Workflow,
} from "lucide-react";

export interface Destination {
  to: "/" | "/executions" | "/workflows" | "/queues" | "/dead-letters" | "/settings";
  label: string;
  key: string;
  icon: LucideIcon;
}

export const DESTINATIONS: readonly Destination[] = [
  { to: "/", label: "Home", key: "h", icon: House },
  { to: "/executions", label: "Executions", key: "e", icon: Rows3 },
  { to: "/workflows", label: "Workflows", key: "w", icon: Workflow },
  { to: "/queues", label: "Queues", key: "q", icon: Layers },
  { to: "/dead-letters", label: "Dead letters", key: "d", icon: MailWarning },
  { to: "/settings", label: "Settings", key: "s", icon: Settings },
];
