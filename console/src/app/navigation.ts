/** Entries of the rail, where `G` and the key lead, and further pages that the palette lists. */

import {
  Activity,
  AppWindow,
  Boxes,
  CalendarClock,
  ChartColumn,
  Cpu,
  Database,
  FolderKanban,
  Grid3x3,
  Hand,
  House,
  KeyRound,
  Layers,
  LayoutTemplate,
  Library,
  ListChecks,
  Lock,
  type LucideIcon,
  Mail,
  MailWarning,
  Network,
  Orbit,
  Palette,
  Plug,
  Rows3,
  ScrollText,
  Settings,
  Workflow,
} from "lucide-react";

export interface Destination {
  to:
    | "/"
    | "/executions"
    | "/workflows"
    | "/approvals"
    | "/triggers"
    | "/queues"
    | "/dead-letters"
    | "/dashboards"
    | "/observe"
    | "/visualization"
    | "/settings"
    | "/workers"
    | "/agents"
    | "/plugins"
    | "/services"
    | "/access"
    | "/messages"
    | "/streams"
    | "/audit"
    | "/projects"
    | "/secrets"
    | "/styleguide"
    | "/bulk"
    | "/tasks"
    | "/templates"
    | "/workflows/new"
    | "/apps"
    | "/apps/new"
    | "/visualization/galaxy"
    | "/visualization/grid"
    | "/visualization/topology";
  label: string;
  icon: LucideIcon;
  key?: string;
}

interface RailEntry extends Destination {
  key: string;
  /** Whether it is one of the five of a phone; the others are behind More. */
  phone?: boolean;
}

export const DESTINATIONS: readonly RailEntry[] = [
  { to: "/", label: "Home", key: "h", icon: House, phone: true },
  { to: "/executions", label: "Executions", key: "e", icon: Rows3, phone: true },
  { to: "/workflows", label: "Workflows", key: "w", icon: Workflow, phone: true },
  { to: "/apps", label: "Applications", key: "p", icon: AppWindow },
  { to: "/approvals", label: "Approvals", key: "a", icon: Hand, phone: true },
  { to: "/triggers", label: "Triggers", key: "t", icon: CalendarClock },
  { to: "/queues", label: "Queues", key: "q", icon: Layers },
  { to: "/dead-letters", label: "Dead letters", key: "d", icon: MailWarning, phone: true },
  { to: "/dashboards", label: "Dashboards", key: "b", icon: ChartColumn },
  { to: "/observe", label: "Observe", key: "o", icon: Activity },
  { to: "/visualization", label: "Visualize", key: "v", icon: Orbit },
  { to: "/settings", label: "Settings", key: "s", icon: Settings },
];

export const FURTHER: readonly Destination[] = [
  { to: "/workers", label: "Workers", icon: Cpu },
  { to: "/agents", label: "Agents", icon: Cpu },
  { to: "/plugins", label: "Plugins", icon: Plug },
  { to: "/access", label: "Access: users, keys, identity providers", icon: KeyRound },
  { to: "/messages", label: "Messages: queues and exchanges", icon: Mail },
  { to: "/streams", label: "Event streams", icon: Database },
  { to: "/audit", label: "Audit log", icon: ScrollText },
  { to: "/projects", label: "Projects: use and quotas", icon: FolderKanban },
  { to: "/secrets", label: "Secrets", icon: Lock },
  { to: "/services", label: "Services", icon: Boxes },
  { to: "/bulk", label: "Bulk actions", icon: ListChecks },
  { to: "/workflows/new", label: "New workflow", icon: Workflow },
  { to: "/apps/new", label: "New application", icon: AppWindow },
  { to: "/tasks", label: "Tasks of the library", icon: Library },
  { to: "/templates", label: "Templates", icon: LayoutTemplate },
  { to: "/visualization/galaxy", label: "Galaxy", icon: Orbit },
  { to: "/visualization/grid", label: "Grid", icon: Grid3x3 },
  { to: "/visualization/topology", label: "Topology", icon: Network },
  { to: "/styleguide", label: "Components of the console", icon: Palette },
];
