/** Errors of the API: a reason, a sentence, and the fields that are concerned. */

export interface ProblemDetail {
  field: string;
  description: string;
  code?: string;
  line?: number;
  column?: number;
}

export class ApiProblem extends Error {
  readonly status: number;
  readonly reason: string;
  readonly details: readonly ProblemDetail[];

  constructor(status: number, reason: string, message: string, details: ProblemDetail[] = []) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.details = details;
  }

  /** Whether the same request may succeed later. */
  get temporary(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

const UNREACHABLE = "The server does not answer. It may be restarting, or the network is down.";

export function unreachable(): ApiProblem {
  return new ApiProblem(0, "UNREACHABLE", UNREACHABLE);
}

export async function problemOf(response: Response): Promise<ApiProblem> {
  try {
    const { error } = await response.json();
    return new ApiProblem(response.status, error.reason, error.message, error.details);
  } catch {
    const text = `The server answered ${response.status} ${response.statusText} without a reason.`;
    return new ApiProblem(response.status, "UNKNOWN", text);
  }
}

export function asProblem(raised: unknown): ApiProblem {
  if (raised instanceof ApiProblem) return raised;
  const message = raised instanceof Error ? raised.message : String(raised);
  return new ApiProblem(0, "INTERNAL", message);
}
