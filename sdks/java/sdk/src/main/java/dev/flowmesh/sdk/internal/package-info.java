/** Connections, calls, credentials and payloads, which the client and the worker share. */
package dev.flowmesh.sdk.internal;
