import fc from "fast-check";
import { expect, test } from "vitest";
import { type Chain, learned, pagesAt, rowsOf, UNREAD } from "./pages";

const SIZE = 10;

interface Row {
  executionId: string;
}

function listOf(total: number): Row[] {
  return Array.from({ length: total }, (_, place) => ({ executionId: `row-${place}` }));
}

/** The page of a server: rows behind the row that its token names. */
function served(list: readonly Row[], token: string): { rows: Row[]; next: string } {
  const from = token ? list.findIndex((each) => each.executionId === token) + 1 : 0;
  const rows = list.slice(from, from + SIZE);
  const last = rows.at(-1)?.executionId ?? "";
  return { rows, next: from + SIZE < list.length ? last : "" };
}

function read(chain: Chain, list: readonly Row[], index: number): Chain {
  const token = chain.pages[index]?.token ?? "";
  const { rows, next } = served(list, token);
  return learned(chain, token, rows.length, next);
}

function readAll(list: readonly Row[]): Chain {
  let chain = UNREAD;
  for (let index = 0; index < chain.pages.length; index += 1) chain = read(chain, list, index);
  return chain;
}

test("pages that are read one after another make the whole list", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 95 }), (total) => {
      const list = listOf(total);
      const chain = readAll(list);
      expect(chain.total).toBe(total);
      const rows = rowsOf(
        chain,
        (token) => served(list, token).rows,
        [],
        () => false,
      );
      expect(rows).toEqual(list);
    }),
  );
});

test("a page that is read again unchanged changes nothing", () => {
  const list = listOf(45);
  const chain = readAll(list);
  for (const index of chain.pages.keys()) expect(read(chain, list, index)).toBe(chain);
});

test("dropped pages leave empty places, so that no other row moves", () => {
  const list = listOf(45);
  const chain = readAll(list);
  const rows = rowsOf(
    chain,
    (token) => (token ? served(list, token).rows : undefined),
    [],
    () => false,
  );
  expect(rows.slice(0, SIZE)).toEqual(new Array(SIZE).fill(undefined));
  expect(rows.slice(SIZE)).toEqual(list.slice(SIZE));
});

test("new rows at the head move the others by their number, each once", () => {
  const list = listOf(45);
  const chain = readAll(list);
  const longer = [{ executionId: "new-1" }, { executionId: "new-2" }, ...list];
  const changed = read(chain, longer, 0);
  expect(changed.pages).toHaveLength(2);
  expect(changed.total).toBe(45);
  const before = [...list];
  const rows = rowsOf(
    changed,
    (token) => (token === "" ? served(longer, "").rows : undefined),
    before,
    () => true,
  );
  const ids = rows.flatMap((row) => row?.executionId ?? []);
  expect(ids.slice(0, SIZE)).toEqual(longer.slice(0, SIZE).map((each) => each.executionId));
  expect(new Set(ids).size).toBe(ids.length);
  let whole = changed;
  for (let index = 1; index < whole.pages.length; index += 1) whole = read(whole, longer, index);
  expect(whole.total).toBe(47);
});

test("the pages of a place are found, and the unread one at the end", () => {
  const chain = readAll(listOf(45));
  expect(pagesAt(chain, 0, 9)).toEqual([0, 0]);
  expect(pagesAt(chain, -20, 12)).toEqual([0, 1]);
  expect(pagesAt(chain, 33, 400)).toEqual([3, 4]);
  const begun = read(UNREAD, listOf(45), 0);
  expect(pagesAt(begun, 0, 9)).toEqual([0, 0]);
  expect(pagesAt(begun, 0, 10)).toEqual([0, 1]);
});
