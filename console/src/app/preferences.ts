/** Choices of the reader, kept in this browser. */

import { useStore } from "zustand";
import { persist } from "zustand/middleware";
import { createStore } from "zustand/vanilla";

export type Theme = "system" | "light" | "dark";
export type Density = "normal" | "compact";

export interface Preferences {
  theme: Theme;
  density: Density;
  /** IANA zone; empty is that of the system. */
  zone: string;
  singleKeys: boolean;
  namespace: string;
  actor: string;
  railOpen: boolean;
  /** Whether the rail has words beside a canvas, too. */
  railInEditors: boolean;
  /** Columns of lists of executions by workflow; the empty name is that of all workflows. */
  columns: Record<string, string>;
}

const DEFAULTS: Preferences = {
  theme: "system",
  density: "normal",
  zone: "",
  singleKeys: true,
  namespace: "",
  actor: "",
  railOpen: true,
  railInEditors: false,
  columns: {},
};

export const preferences = createStore<Preferences>()(
  persist(() => DEFAULTS, { name: "flowmesh.preferences", version: 1 }),
);

export function usePreference<K extends keyof Preferences>(name: K): Preferences[K] {
  return useStore(preferences, (all) => all[name]);
}

export function prefer(values: Partial<Preferences>): void {
  preferences.setState(values);
}

const dark = matchMedia("(prefers-color-scheme: dark)");

/** Keep theme and density of the document those of the preferences and of the system. */
export function followTheme(): void {
  const apply = () => {
    const { theme, density } = preferences.getState();
    const root = document.documentElement;
    root.dataset.theme = theme === "system" ? (dark.matches ? "dark" : "light") : theme;
    root.dataset.density = density;
    dispatchEvent(new Event("flowmesh:theme"));
  };
  apply();
  preferences.subscribe(apply);
  dark.addEventListener("change", apply);
}
