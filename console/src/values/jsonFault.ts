import { say } from "@/model/messages";

/** The sentence about a text that is not JSON; undefined for JSON. */
export function jsonFault(text: string): string | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (raised) {
    return say("action.notJson", { fault: (raised as Error).message });
  }
}
