/** Commands of the shown page, which the palette lists beside those of the shell. */

import { useEffect } from "react";
import { create } from "zustand";

export interface Command {
  id: string;
  label: string;
  keys?: string;
  /** The reason for which it cannot be done now. */
  refused?: string | undefined;
  run: () => void;
}

export const useCommands = create<{ commands: readonly Command[] }>(() => ({ commands: [] }));

/** Offer commands while the component is shown. */
export function useOffered(commands: readonly Command[]): void {
  const signature = commands.map((each) => `${each.id}${each.refused ?? ""}`).join("|");
  // biome-ignore lint/correctness/useExhaustiveDependencies: the signature stands for them
  useEffect(() => {
    useCommands.setState({ commands });
    return () => useCommands.setState({ commands: [] });
  }, [signature]);
}
