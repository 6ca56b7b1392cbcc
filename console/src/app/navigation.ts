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
  Globe,
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
    | "/observe/dashboards"
    | "/visualization"
    | "/settings"
    | "/workers"
    | "/agents"
    | "/plugins"
    | "/cells"
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
  /** Whether it is one of the five of a phone; the others are behind More. */
  phone?: boolean;
}

interface RailGroup {
  /** Empty for the first, which needs no words. */
  title: string;
  entries: readonly RailEntry[];
}

export const RAIL: readonly RailGroup[] = [
  {
    title: "",
    entries: [
      { to: "/", label: "Home", key: "h", icon: House, phone: true },
      { to: "/executions", label: "Executions", key: "e", icon: Rows3, phone: true },
      { to: "/approvals", label: "Approvals", key: "a", icon: Hand, phone: true },
      { to: "/dead-letters", label: "Dead letters", key: "d", icon: MailWarning, phone: true },
    ],
  },
  {
    title: "Build",
    entries: [
      { to: "/workflows", label: "Workflows", key: "w", icon: Workflow, phone: true },
      { to: "/tasks", label: "Tasks", icon: Library },
      { to: "/triggers", label: "Triggers", key: "t", icon: CalendarClock },
      { to: "/apps", label: "Applications", key: "p", icon: AppWindow },
    ],
  },
  {
    title: "Operate",
    entries: [
      { to: "/queues", label: "Queues", key: "q", icon: Layers },
      { to: "/workers", label: "Workers", icon: Cpu },
      { to: "/services", label: "Services", icon: Boxes },
      { to: "/bulk", label: "Bulk actions", icon: ListChecks },
    ],
  },
  {
    title: "See",
    entries: [
      { to: "/dashboards", label: "Dashboards", key: "b", icon: ChartColumn },
      { to: "/observe", label: "Observe", key: "o", icon: Activity },
      { to: "/visualization", label: "Visualize", key: "v", icon: Orbit },
      { to: "/settings", label: "Settings", key: "s", icon: Settings },
    ],
  },
];

export const DESTINATIONS: readonly RailEntry[] = RAIL.flatMap((group) => group.entries);

/** The pages with a key, `G` and a letter. */
export const KEYED = DESTINATIONS.flatMap(({ to, label, key }) =>
  key ? [{ to, label, key }] : [],
);

export const FURTHER: readonly Destination[] = [
  { to: "/agents", label: "Agents", icon: Cpu },
  { to: "/plugins", label: "Plugins", icon: Plug },
  { to: "/cells", label: "Cells", icon: Globe },
  { to: "/access", label: "Access: users, keys, identity providers", icon: KeyRound },
  { to: "/messages", label: "Messages: queues and exchanges", icon: Mail },
  { to: "/streams", label: "Event streams", icon: Database },
  { to: "/audit", label: "Audit log", icon: ScrollText },
  { to: "/projects", label: "Projects: use and quotas", icon: FolderKanban },
  { to: "/secrets", label: "Secrets", icon: Lock },
  { to: "/workflows/new", label: "New workflow", icon: Workflow },
  { to: "/apps/new", label: "New application", icon: AppWindow },
  { to: "/observe/dashboards", label: "Saved dashboards", icon: ChartColumn },
  { to: "/templates", label: "Templates", icon: LayoutTemplate },
  { to: "/visualization/galaxy", label: "Galaxy", icon: Orbit },
  { to: "/visualization/grid", label: "Grid", icon: Grid3x3 },
  { to: "/visualization/topology", label: "Topology", icon: Network },
  { to: "/styleguide", label: "Components of the console", icon: Palette },
];
