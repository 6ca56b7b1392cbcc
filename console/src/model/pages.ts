/** A list that is read in pages by tokens: the places of its pages, and the rows in memory. */

export interface PagePlace {
  token: string;
  /** The place of its first row in the list. */
  start: number;
}

/** The known pages from the first one on; the last of them may be unread. */
export interface Chain {
  pages: readonly PagePlace[];
  /** Known rows; a list that has changed may have more or fewer. */
  total: number;
}

export const UNREAD: Chain = { pages: [{ token: "", start: 0 }], total: 0 };

/** The chain after the answer of a page; the same object if it says nothing new. */
export function learned(chain: Chain, token: string, rows: number, next: string): Chain {
  const index = chain.pages.findIndex((each) => each.token === token);
  const page = chain.pages[index];
  if (!page) return chain;
  const end = page.start + rows;
  const following = chain.pages[index + 1];
  const until = chain.pages.slice(0, index + 1);
  if (!next) {
    const known = !following && chain.total === end;
    return known ? chain : { pages: until, total: end };
  }
  if (following?.token === next && following.start === end) return chain;
  // Pages behind a changed one have other tokens; their rows are found again when they are shown.
  return { pages: [...until, { token: next, start: end }], total: Math.max(chain.total, end) };
}

/** The first and the last page with rows between two places, or that follow them. */
export function pagesAt(chain: Chain, first: number, last: number): readonly [number, number] {
  const from = chain.pages.findLastIndex((each) => each.start <= Math.max(0, first));
  const to = chain.pages.findLastIndex((each) => each.start <= Math.max(0, last));
  return [from, to];
}

interface Row {
  executionId: string;
}

/**
 * The rows at their places. A place whose page is not in memory keeps the row of `before` while
 * `kept` says so, and is empty otherwise; no row is there twice.
 */
export function rowsOf<R extends Row>(
  chain: Chain,
  pageOf: (token: string) => readonly R[] | undefined,
  before: readonly (R | undefined)[],
  kept: (page: number) => boolean,
): (R | undefined)[] {
  const rows = new Array<R | undefined>(chain.total).fill(undefined);
  const seen = new Set<string>();
  const put = (row: R | undefined, place: number) => {
    if (!row || place >= chain.total || seen.has(row.executionId)) return;
    seen.add(row.executionId);
    rows[place] = row;
  };
  const missing: number[] = [];
  for (const [index, { token, start }] of chain.pages.entries()) {
    const page = pageOf(token);
    if (!page) missing.push(index);
    page?.forEach((row, place) => {
      put(row, start + place);
    });
  }
  for (const index of missing.filter(kept)) {
    const end = chain.pages[index + 1]?.start ?? chain.total;
    for (let place = chain.pages[index]?.start ?? end; place < end; place += 1) {
      put(before[place], place);
    }
  }
  return rows;
}
