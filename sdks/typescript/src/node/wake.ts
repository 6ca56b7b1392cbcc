/** A flag that one task waits for and others set. */
export class Wake {
  #resolve: (() => void) | undefined;
  #isSet = false;

  /** Wake the waiting task, or the next one that waits. */
  set(): void {
    this.#isSet = true;
    this.#resolve?.();
    this.#resolve = undefined;
  }

  /** Wait until the flag is set, and clear it. */
  async wait(): Promise<void> {
    if (!this.#isSet) {
      await new Promise<void>((resolve) => {
        this.#resolve = resolve;
      });
    }
    this.#isSet = false;
  }
}
