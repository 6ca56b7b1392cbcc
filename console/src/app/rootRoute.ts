import { createRootRoute } from "@tanstack/react-router";
import { Crashed, NotFoundPage } from "./errors";
import { Shell } from "./shell";

export const rootRoute = createRootRoute({
  component: Shell,
  notFoundComponent: NotFoundPage,
  errorComponent: Crashed,
});

/** A text of an address; numbers that look like one are texts too. */
export function text(value: unknown): string | undefined {
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value ? value : undefined;
}

export function whole(value: unknown): number | undefined {
  const number = Number(value);
  return Number.isInteger(number) && number > 0 ? number : undefined;
}

/** A list of texts, if it has any. */
export function texts(value: unknown): string[] | undefined {
  const found = Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
  return found.length ? found : undefined;
}
