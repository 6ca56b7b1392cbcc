/** Glyphs and words of the kinds of tasks. */

import {
  Boxes,
  CircleDot,
  FolderTree,
  GitFork,
  Hand,
  Hourglass,
  ListTree,
  type LucideIcon,
  Repeat,
  ShieldCheck,
  SquareFunction,
  Timer,
  Workflow,
} from "lucide-react";
import { type MessageKey, say } from "@/model/messages";

const ICONS: Record<string, LucideIcon> = {
  taskRef: CircleDot,
  decision: GitFork,
  subworkflow: Workflow,
  continueAsNew: Repeat,
  wait: Hourglass,
  approval: Hand,
  map: ListTree,
  group: Boxes,
  race: Timer,
  loop: Repeat,
  try: ShieldCheck,
  transform: SquareFunction,
  template: FolderTree,
};

export function KindIcon({ kind, size = 15 }: { kind: string; size?: number }) {
  const Icon = ICONS[kind] ?? CircleDot;
  return <Icon size={size} strokeWidth={1.75} aria-hidden />;
}

export function kindWord(kind: string): string {
  return say(`builder.kind.${kind}` as MessageKey);
}
