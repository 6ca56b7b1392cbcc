/** Discovery: finds the services that are registered with Flowmesh, and registers own ones. */
package dev.flowmesh.sdk.mesh;
