/**
 * The server of a client: its address, TLS, and whether a credential may be sent to it.
 *
 * ```
 * grpcs://flowmesh.example.com:7450   TLS; `https://` is the same
 * grpc://127.0.0.1:7450               no TLS
 * 127.0.0.1:7450                      no TLS, unless TLS options are given
 * ```
 */
import { readFileSync, statSync } from "node:fs";
import type { SecureClientSessionOptions } from "node:http2";
import { isIP } from "node:net";
import { dirname, join, resolve } from "node:path";
import { invalid } from "../errors.js";

/**
 * Options of TLS: paths of PEM files, read again for each connection.
 *
 * Without `ca` the public authorities are trusted. `certificate` and `key` prove this client to
 * servers that ask for it.
 */
export interface Tls {
  readonly ca?: string;
  readonly certificate?: string;
  readonly key?: string;
}

/** A server with the options of its connections. @internal */
export interface Endpoint {
  readonly address: string;
  readonly url: string;
  readonly isSecure: boolean;
  readonly isLocal: boolean;
  /** A credential may be sent without TLS to another host. */
  readonly permitsPlaintext: boolean;
  readonly options: SecureClientSessionOptions;
}

const PORT = 7450;
const SECURE_PORT = 443;
const PLAIN = new Set(["grpc", "http"]);
const SECURE = new Set(["grpcs", "https"]);

/** Return the endpoint of an address; throws `ENDPOINT_INVALID`. @internal */
export function endpointOf(address: string, tls: Tls | boolean | undefined): Endpoint {
  let name = address || process.env["FLOWMESH_ADDRESS"] || "";
  let chosen = tls;
  if (!name) {
    const suite = runningSuite(process.cwd());
    name = suite?.grpc ?? `127.0.0.1:${PORT}`;
    if (suite?.ca && chosen === undefined) {
      chosen = tlsOfEnvironment() ?? { ca: suite.ca };
    }
  }
  const [scheme, authority] = split(name);
  const isPlain = PLAIN.has(scheme);
  const asksForTls = SECURE.has(scheme);
  const options = chosen ?? tlsOfEnvironment();
  if (asksForTls && tls === false) {
    throw invalid("ENDPOINT_INVALID", `${name} asks for TLS, and \`tls\` is false`);
  }
  if (isPlain && tls) {
    const text = `${name} is an address without TLS; use grpcs:// with TLS options`;
    throw invalid("ENDPOINT_INVALID", text);
  }
  const isSecure = asksForTls || (!isPlain && Boolean(options));
  const url = urlOf(name, authority, isSecure);
  return {
    address: name,
    url: url.origin,
    isSecure,
    isLocal: isLocal(url.hostname),
    permitsPlaintext: tls === false || plaintextAllowed(),
    options: isSecure && typeof options === "object" ? tlsFiles(options) : {},
  };
}

/** Return the endpoint of another cell; calls that are encrypted stay so. @internal */
export function elsewhere(endpoint: Endpoint, address: string): Endpoint {
  const [scheme, authority] = split(address);
  if (SECURE.has(scheme) && !endpoint.isSecure) {
    return endpointOf(address, undefined);
  }
  if (PLAIN.has(scheme) && endpoint.isSecure) {
    const text = `the server names the cell ${address}, which has no TLS`;
    throw invalid("ENDPOINT_INVALID", text);
  }
  const url = urlOf(address, authority, endpoint.isSecure);
  return { ...endpoint, address, url: url.origin, isLocal: isLocal(url.hostname) };
}

/** Throw `PLAINTEXT_REFUSED` if a credential would travel unencrypted. @internal */
export function checkCredential(endpoint: Endpoint, source: string): void {
  if (!endpoint.isSecure && !endpoint.isLocal && !endpoint.permitsPlaintext) {
    throw invalid(
      "PLAINTEXT_REFUSED",
      `${source} would be sent to ${endpoint.address} without TLS; use grpcs://, or allow it` +
        " with `tls: false` or FLOWMESH_ALLOW_PLAINTEXT=true",
    );
  }
}

function split(address: string): [string, string] {
  const found = /^(?:([a-z][a-z0-9+.-]*):\/\/)?([^/\s]+)\/?$/i.exec(address);
  const scheme = found?.[1]?.toLowerCase() ?? "";
  if (!found || (scheme && !PLAIN.has(scheme) && !SECURE.has(scheme))) {
    throw invalid(
      "ENDPOINT_INVALID",
      `${JSON.stringify(address)} is no address; use host:port, grpc://host:port or` +
        " grpcs://host:port",
    );
  }
  return [scheme, found[2] ?? ""];
}

function urlOf(address: string, authority: string, isSecure: boolean): URL {
  const hasPort = /:\d+$/.test(authority);
  const port = isSecure ? SECURE_PORT : PORT;
  try {
    const url = new URL(
      `${isSecure ? "https" : "http"}://${authority}${hasPort ? "" : `:${port}`}`,
    );
    if (url.hostname && !url.username && !url.search && !url.hash) {
      return url;
    }
  } catch {
    // reported below
  }
  const text = `${JSON.stringify(address)} is no address; use host:port, such as 127.0.0.1:${PORT}`;
  throw invalid("ENDPOINT_INVALID", text);
}

function isLocal(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

function plaintextAllowed(): boolean {
  return ["1", "true", "yes"].includes(
    process.env["FLOWMESH_ALLOW_PLAINTEXT"]?.toLowerCase() ?? "",
  );
}

function tlsOfEnvironment(): Tls | undefined {
  const {
    FLOWMESH_CA: ca,
    FLOWMESH_CLIENT_CERT: certificate,
    FLOWMESH_CLIENT_KEY: key,
  } = process.env;
  return ca || certificate || key
    ? { ca: ca ?? "", certificate: certificate ?? "", key: key ?? "" }
    : undefined;
}

/** Return options that read the files whenever a connection is opened, so that renewed ones count. */
function tlsFiles({ ca, certificate, key }: Tls): SecureClientSessionOptions {
  if (Boolean(certificate) !== Boolean(key)) {
    const text = "a client certificate needs both its certificate and its key file";
    throw invalid("ENDPOINT_INVALID", text);
  }
  const options: SecureClientSessionOptions = {};
  for (const [name, path] of Object.entries({ ca, cert: certificate, key })) {
    if (path) {
      content(path);
      Object.defineProperty(options, name, { enumerable: true, get: () => content(path) });
    }
  }
  return options;
}

function content(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw invalid("ENDPOINT_INVALID", `cannot read the TLS file ${path}: ${code}`);
  }
}

interface RunningSuite {
  readonly grpc: string;
  readonly ca: string;
}

/** Return the suite of `flowmesh dev` in the folder or its nearest parent that has one. */
function runningSuite(folder: string): RunningSuite | undefined {
  for (let place = resolve(folder); ; place = dirname(place)) {
    const suite = suiteIn(join(place, ".flowmesh", "dev.json"));
    if (suite || dirname(place) === place) {
      return suite;
    }
  }
}

/** Return the suite of the file if it is of this user and its process runs. */
function suiteIn(file: string): RunningSuite | undefined {
  try {
    if (statSync(file).uid !== process.geteuid?.()) {
      return undefined;
    }
    const { pid, grpc, ca } = JSON.parse(readFileSync(file, "utf8"));
    // An address with a scheme would permit a credential to leave this machine.
    if (!Number.isInteger(pid) || typeof grpc !== "string" || !grpc || grpc.includes("://")) {
      return undefined;
    }
    process.kill(pid, 0);
    const trusted = isLocal(new URL(`http://${grpc}`).hostname) && typeof ca === "string";
    return { grpc, ca: trusted ? ca : "" };
  } catch {
    return undefined;
  }
}
