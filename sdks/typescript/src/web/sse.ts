/** Server-Sent Events of a response of fetch, as in the HTML standard. */

/** One event of a stream. @internal */
export interface SentEvent {
  readonly id: string;
  readonly type: string;
  readonly data: string;
}

/** Yield the events of a body; `onRetry` receives the delay that the server asks for. @internal */
export async function* sentEvents(
  body: ReadableStream<Uint8Array>,
  onBytes: () => void,
  onRetry: (ms: number) => void,
): AsyncGenerator<SentEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        return;
      }
      onBytes();
      const blocks = (rest + decoder.decode(value, { stream: true })).split(/\r?\n\r?\n/);
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const event = parsed(block, onRetry);
        if (event) {
          yield event;
        }
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function parsed(block: string, onRetry: (ms: number) => void): SentEvent | undefined {
  let id = "";
  let type = "message";
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    const [, name = "", value = ""] = /^([a-z]+): ?(.*)$/.exec(line) ?? [];
    if (name === "id") {
      id = value;
    } else if (name === "event") {
      type = value;
    } else if (name === "data") {
      data.push(value);
    } else if (name === "retry" && /^\d+$/.test(value)) {
      onRetry(Number(value));
    }
  }
  return data.length > 0 ? { id, type, data: data.join("\n") } : undefined;
}
