/** Colours of the theme for drawing on a canvas. */

import { useEffect, useState } from "react";
import type { Family } from "@/model/status";

export interface Colours {
  surface: string;
  frame: string;
  raised: string;
  line: string;
  lineStrong: string;
  text: string;
  muted: string;
  accent: string;
  selected: string;
  family: Record<Family, string>;
}

function read(): Colours {
  const style = getComputedStyle(document.documentElement);
  const value = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    surface: value("surface"),
    frame: value("frame"),
    raised: value("raised"),
    line: value("line"),
    lineStrong: value("line-strong"),
    text: value("text"),
    muted: value("muted"),
    accent: value("accent"),
    selected: value("selected"),
    family: {
      running: value("running"),
      success: value("success"),
      failed: value("failed"),
      attention: value("attention"),
      undoing: value("undoing"),
      neutral: value("neutral"),
    },
  };
}

/** The colours, read again when the theme changes. */
export function useColours(): Colours {
  const [colours, setColours] = useState(read);
  useEffect(() => {
    const update = () => setColours(read());
    update();
    addEventListener("flowmesh:theme", update);
    return () => removeEventListener("flowmesh:theme", update);
  }, []);
  return colours;
}
