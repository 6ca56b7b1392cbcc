// A SignalR client: `node signalr.mjs '{"url": …}'`. Prints one JSON line for each thing that
// happens; each line of standard input is a call, `["Subscribe", "exec-1"]`.
import { createInterface } from "node:readline";
import { HttpTransportType, HubConnectionBuilder, LogLevel } from "@microsoft/signalr";

const given = JSON.parse(process.argv[2]);
const say = (kind, value) => console.log(JSON.stringify({ kind, ...value }));
const options = { headers: given.headers };
if (given.token) options.accessTokenFactory = () => given.token;
if (given.transport) options.transport = HttpTransportType[given.transport];
const connection = new HubConnectionBuilder()
  .withUrl(given.url, options)
  .withAutomaticReconnect({ nextRetryDelayInMilliseconds: () => 200 })
  .configureLogging(LogLevel.None)
  .build();
for (const target of given.targets) {
  connection.on(target, (event) => say("event", { target, event }));
}
connection.onreconnected(() => say("reconnected", {}));
connection.onclose((error) => {
  say("closed", { error: error?.message ?? "" });
  process.exit(0);
});
try {
  await connection.start();
} catch (error) {
  say("refused", { error: error.message });
  process.exit(0);
}
say("connected", {});
for await (const line of createInterface({ input: process.stdin })) {
  const [method, ...args] = JSON.parse(line);
  try {
    say("result", { method, result: await connection.invoke(method, ...args) });
  } catch (error) {
    say("rejected", { method, error: error.message });
  }
}
await connection.stop();
