/** Places of modules that were not moved: in three columns by their part in a request. */

import { NODE_HEIGHT, NODE_WIDTH } from "@/model/layout";
import type { AppModule } from "@/text/app";
import type { Position } from "@/text/workflow";

const COLUMN = NODE_WIDTH + 72;
const ROW = NODE_HEIGHT + 22;

interface Part {
  column: number;
  begins: readonly string[];
}

/** Beginnings of types: the way in, what answers, and what that uses. */
const PARTS: readonly Part[] = [
  { column: 0, begins: ["http.server", "httpserver."] },
  { column: 0, begins: ["http.router", "chimux."] },
  { column: 0, begins: ["http.middleware."] },
  {
    column: 1,
    begins: [
      ...["http.handler", "http.proxy", "http.simple_proxy", "reverseproxy", "static.", "api."],
      ...["auth.jwt", "auth.modular", "statemachine.", "messaging.handler", "openapi.generator"],
    ],
  },
  {
    column: 2,
    begins: ["database.", "persistence.", "storage.", "cache.", "messaging.", "eventbus."],
  },
];
const REST: Part = { column: 2, begins: [] };

export function columnsOf(modules: readonly AppModule[]): Map<string, Position> {
  const parts = [...PARTS, REST];
  const partOf = ({ type }: AppModule) => {
    const found = PARTS.findIndex(({ begins }) => begins.some((each) => type.startsWith(each)));
    return found < 0 ? PARTS.length : found;
  };
  const sorted = modules.toSorted((left, right) => partOf(left) - partOf(right));
  const filled = [0, 0, 0];
  return new Map(
    sorted.map((module) => {
      const { column } = parts[partOf(module)] ?? REST;
      const row = filled[column] ?? 0;
      filled[column] = row + 1;
      return [module.id, { x: column * COLUMN, y: row * ROW }];
    }),
  );
}
