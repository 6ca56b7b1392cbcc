/** The moment of the page, moved at the speed of a drag and written to the address when it rests. */

import { useEffect, useRef, useState } from "react";

const REST_MS = 150;

export function useMoment(
  at: number | undefined,
  write: (at: number | undefined) => void,
): [number | undefined, (at: number | undefined) => void] {
  const [shown, show] = useState(at);
  const written = useRef(at);
  const newest = useRef(write);
  useEffect(() => {
    newest.current = write;
  });
  useEffect(() => {
    if (at === written.current) return;
    written.current = at;
    show(at);
  }, [at]);
  useEffect(() => {
    if (shown === written.current) return;
    const timer = setTimeout(() => {
      written.current = shown;
      newest.current(shown);
    }, REST_MS);
    return () => clearTimeout(timer);
  }, [shown]);
  return [shown, show];
}
