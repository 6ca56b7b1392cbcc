/**
 * Drafts in this browser, one for each tab that edits. A tab holds the lock of its draft, so a
 * draft whose tab was closed or killed is found again by the next one.
 */

export interface Base {
  text: string;
  digest: string;
  version: number;
}

export type DraftKind = "app";

export interface Draft {
  id: string;
  /** The form of this record; another one is left alone. */
  form: number;
  namespace: string;
  /** An application; without it, a workflow. */
  kind?: DraftKind | undefined;
  /** The stored workflow or application that is edited; empty for a new one. */
  workflow: string;
  /** The name in the text. */
  name: string;
  text: string;
  base: Base | undefined;
  changedAt: number;
}

export const FORM = 1;
const DATABASE = "flowmesh";
const STORE = "drafts";
const DRAFTS_MAX = 50;

let opened: Promise<IDBDatabase> | undefined;

function database(): Promise<IDBDatabase> {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

async function run<T>(
  mode: IDBTransactionMode,
  act: (store: IDBObjectStore) => IDBRequest<T>,
): Promise<T> {
  const transaction = (await database()).transaction(STORE, mode, { durability: "strict" });
  const request = act(transaction.objectStore(STORE));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error);
  });
}

export async function putDraft(draft: Draft): Promise<void> {
  await run("readwrite", (store) => store.put(draft));
}

export async function deleteDraft(id: string): Promise<void> {
  await run("readwrite", (store) => store.delete(id));
}

/** Drafts of a namespace, newest first; those beyond the last fifty are removed. */
export async function drafts(namespace: string, kind?: DraftKind): Promise<Draft[]> {
  const all = (await run("readonly", (store) => store.getAll())) as Draft[];
  const known = all.filter((each) => each.form === FORM);
  known.sort((left, right) => right.changedAt - left.changedAt);
  for (const old of known.slice(DRAFTS_MAX)) await deleteDraft(old.id);
  return known
    .slice(0, DRAFTS_MAX)
    .filter((each) => each.namespace === namespace && each.kind === kind);
}

/** Hold a draft for this tab until it is released or the tab ends; false if another tab does. */
export async function hold(id: string): Promise<(() => void) | undefined> {
  if (!navigator.locks) return () => {};
  return new Promise((resolve) => {
    void navigator.locks.request(`flowmesh.draft.${id}`, { ifAvailable: true }, (lock) => {
      if (!lock) {
        resolve(undefined);
        return undefined;
      }
      return new Promise<void>((release) => resolve(release));
    });
  });
}

/** Writes the newest state of a draft, one write at a time, so each keystroke is kept at once. */
export class DraftWriter {
  #next: Draft | undefined;
  #writing: Promise<void> | undefined;
  readonly #failed: (error: unknown) => void;

  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
  }

  put(draft: Draft): void {
    this.#next = draft;
    this.#writing ??= this.#write();
  }

  /** Wait until everything is written. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    try {
      for (let draft = this.#next; draft; draft = this.#next) {
        this.#next = undefined;
        await putDraft(draft);
      }
    } catch (raised) {
      this.#failed(raised);
    } finally {
      this.#writing = undefined;
    }
  }
}
