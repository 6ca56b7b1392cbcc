/** The credential of a client: an API key, or a token that is renewed before it expires. */
import { FlowmeshError, invalid } from "../errors.js";
import * as limits from "../limits.js";

/** An access token, or a function that returns one whenever the former expires or is refused. */
export type TokenSource = string | (() => string | Promise<string>);

/** The credential that calls carry now. @internal */
export class Credential {
  #text = "";
  #renewAt: number;
  #rejectedAt = Number.NEGATIVE_INFINITY;
  #renewing: Promise<void> | undefined;

  constructor(
    /** Its name in errors. */
    readonly source: string,
    token: TokenSource,
  ) {
    this.renew = typeof token === "function" ? token : undefined;
    this.#renewAt = this.renew ? 0 : Number.POSITIVE_INFINITY;
    if (typeof token === "string") {
      this.#set(token);
    }
  }

  private readonly renew: (() => string | Promise<string>) | undefined;

  /** Return the value of the header `authorization`, of a renewed token if it is about to expire. */
  async header(): Promise<string> {
    if (Date.now() >= this.#renewAt) {
      await this.#renewed();
    }
    return `Bearer ${this.#text}`;
  }

  /** Renew a token that the server refused; return whether another one is there now. */
  async rejected(): Promise<boolean> {
    const used = this.#text;
    const now = performance.now();
    if (!this.renew || !used || now - this.#rejectedAt < limits.TOKEN_REJECTED_MS) {
      return false;
    }
    this.#rejectedAt = now;
    await this.#renewed();
    return this.#text !== used;
  }

  #renewed(): Promise<void> {
    this.#renewing ??= this.#fetch().finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async #fetch(): Promise<void> {
    const text = await provided(this.source, this.renew as () => string | Promise<string>);
    this.#set(text);
    const expires = claim(text, "exp") * 1_000;
    this.#renewAt = expires
      ? Math.max(expires - limits.TOKEN_MARGIN_MS, Date.now() + limits.TOKEN_RENEWAL_MIN_MS)
      : Number.POSITIVE_INFINITY;
  }

  #set(text: string): void {
    const problem =
      text.length > limits.CREDENTIAL_BYTES_MAX
        ? `has more than ${limits.CREDENTIAL_BYTES_MAX} bytes`
        : /^[\x21-\x7e]+$/.test(text)
          ? ""
          : "is empty or holds spaces or line breaks";
    if (problem) {
      throw invalid("CREDENTIAL_MALFORMED", `the credential of ${this.source} ${problem}`);
    }
    this.#text = text;
  }
}

/** Return the credential of the options of a client, or else of the environment. @internal */
export function credentialOf(
  token: TokenSource | undefined,
  apiKey: string | undefined,
): Credential | undefined {
  if (token && apiKey) {
    throw invalid("CREDENTIAL_MALFORMED", "a client takes `token` or `apiKey`, not both");
  }
  if (apiKey) {
    return new Credential("`apiKey`", apiKey.trim());
  }
  if (token) {
    return new Credential("`token`", typeof token === "string" ? token.trim() : token);
  }
  if (token === "") {
    return undefined;
  }
  for (const name of ["FLOWMESH_TOKEN", "FLOWMESH_API_KEY"]) {
    const text = process.env[name]?.trim();
    if (text) {
      return new Credential(name, text);
    }
  }
  return undefined;
}

/** Return the token of a function, within 10 s. */
async function provided(source: string, renew: () => string | Promise<string>): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const text = `${source} returned no token within ${limits.TOKEN_TIMEOUT_MS / 1_000} s`;
      reject(new FlowmeshError("Unauthenticated", "CREDENTIALS_REQUIRED", text));
    }, limits.TOKEN_TIMEOUT_MS);
  });
  try {
    const text: unknown = await Promise.race([renew(), late]);
    if (typeof text !== "string") {
      throw invalid("CREDENTIAL_MALFORMED", `${source} returned no text`);
    }
    return text.trim();
  } catch (error) {
    if (error instanceof FlowmeshError) {
      throw error;
    }
    const text = `${source} threw ${error instanceof Error ? error : typeof error}`;
    throw new FlowmeshError("Unauthenticated", "CREDENTIALS_REQUIRED", text, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** Return a numeric claim of a JWT, unverified; 0 if it has none. */
function claim(token: string, name: string): number {
  try {
    const payload = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
    return Number(payload[name]) || 0;
  } catch {
    return 0;
  }
}
