import {
  Box,
  CalendarClock,
  CircleDot,
  Database,
  FileText,
  Filter,
  Gauge,
  Globe,
  KeyRound,
  type LucideIcon,
  MessageSquare,
  Network,
  Puzzle,
  Route,
  Send,
  Server,
  Workflow,
} from "lucide-react";

const ICONS: readonly (readonly [begin: string, icon: LucideIcon])[] = [
  ["http.middleware", Filter],
  ["http.server", Server],
  ["httpserver", Server],
  ["http.router", Route],
  ["chimux", Route],
  ["http", Globe],
  ["reverseproxy", Network],
  ["static", FileText],
  ["api", Box],
  ["auth", KeyRound],
  ["secrets", KeyRound],
  ["database", Database],
  ["storage", Database],
  ["persistence", Database],
  ["cache", Database],
  ["messaging", MessageSquare],
  ["eventbus", MessageSquare],
  ["webhook", Send],
  ["notification", Send],
  ["statemachine", Workflow],
  ["state", Workflow],
  ["scheduler", CalendarClock],
  ["metrics", Gauge],
  ["health", Gauge],
  ["log", Gauge],
  ["observability", Gauge],
  ["step", CircleDot],
];

/** The glyph of a module or step type. */
export function TypeIcon({ type, size = 15 }: { type: string; size?: number }) {
  const Icon = ICONS.find(([begin]) => type.startsWith(begin))?.[1] ?? Puzzle;
  return <Icon size={size} strokeWidth={1.75} aria-hidden />;
}
