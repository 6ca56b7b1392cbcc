// Parses the AsyncAPI document on standard input; prints its channels and the problems as JSON.
import { Parser } from "@asyncapi/parser";

let text = "";
for await (const chunk of process.stdin) text += chunk;
const { document, diagnostics } = await new Parser().parse(text);
console.log(
  JSON.stringify({
    channels: document ? document.channels().all().map((each) => each.id()) : [],
    problems: diagnostics.map(({ severity, message, path }) => ({ severity, message, path })),
  }),
);
