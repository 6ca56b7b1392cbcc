/** The draft that the address of a page names: opened, kept while it is shown, and closed. */

import { useEffect, useRef, useState } from "react";
import type { Draft } from "@/text/drafts";

interface Open {
  session: { readonly draft: Draft; close: () => void };
}

interface Address<O extends Open> {
  /** The stored workflow or application; empty for a new one. */
  stored: string;
  /** The id of the draft. */
  draft: string | undefined;
  open: (draft: string | undefined, stored: string) => Promise<O>;
  /** Let the address name a draft. */
  show: (draft: Draft) => void;
  /** Forget what the page shows; called when it goes. */
  reset: () => void;
}

/** Return what the address names once it is open; undefined for a page to begin on. */
export function useOpened<O extends Open>(
  address: Address<O>,
): {
  opened: O | undefined;
  error: unknown;
} {
  const { stored, draft, open, show, reset } = address;
  const [opened, setOpened] = useState<O>();
  const [error, setError] = useState<unknown>();
  const current = useRef<O>(undefined);
  const hold = (next: O | undefined) => {
    if (current.current !== next) current.current?.session.close();
    current.current = next;
    setOpened(next);
  };
  const here = current.current?.session.draft;
  const same = here && (draft ? here.id === draft : here.workflow === stored);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the address names the draft
  useEffect(() => {
    if (same) return;
    if (!stored && !draft) {
      hold(undefined);
      return;
    }
    let gone = false;
    setError(undefined);
    open(draft, stored).then(
      (found) => {
        if (gone) {
          found.session.close();
          return;
        }
        hold(found);
        show(found.session.draft);
      },
      (raised) => setError(raised),
    );
    return () => {
      gone = true;
    };
  }, [stored, draft]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, when the page goes
  useEffect(
    () => () => {
      current.current?.session.close();
      current.current = undefined;
      reset();
    },
    [],
  );
  return { opened, error };
}
