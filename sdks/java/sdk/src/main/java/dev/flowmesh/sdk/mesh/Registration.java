package dev.flowmesh.sdk.mesh;

import dev.flowmesh.api.registry.v1.DeregisterInstanceRequest;
import dev.flowmesh.api.registry.v1.HeartbeatRequest;
import dev.flowmesh.api.registry.v1.Instance;
import dev.flowmesh.api.registry.v1.InstanceStatus;
import dev.flowmesh.api.registry.v1.RegisterInstanceRequest;
import dev.flowmesh.api.registry.v1.RegistryServiceGrpc;
import dev.flowmesh.sdk.FlowmeshException;
import dev.flowmesh.sdk.Kind;
import dev.flowmesh.sdk.internal.Caller;

/** Keeps an instance registered until it is closed. */
public final class Registration implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger("dev.flowmesh.sdk.mesh");
  private static final long HEARTBEAT_MS = 1000;

  private final Caller caller;
  private final Instance instance;
  private final Service service;
  private final Thread beating;
  private final Runnable forget;
  private volatile boolean closed;

  Registration(Caller caller, Instance instance) {
    this.caller = caller;
    this.instance = instance;
    this.service = register();
    this.beating = new Thread(this::beat, "flowmesh-registration");
    beating.setDaemon(true);
    beating.start();
    this.forget = caller.onClose(beating::interrupt);
  }

  private Service register() {
    RegisterInstanceRequest request =
        RegisterInstanceRequest.newBuilder()
            .setInstance(instance)
            .setHeartbeatIntervalMs(HEARTBEAT_MS)
            .build();
    var response = caller.call(RegistryServiceGrpc.getRegisterInstanceMethod(), request);
    return Mesh.service(response.getInstance());
  }

  private void beat() {
    HeartbeatRequest request =
        HeartbeatRequest.newBuilder()
            .setNamespace(caller.namespace)
            .setId(instance.getId())
            .setStatus(InstanceStatus.INSTANCE_STATUS_HEALTHY)
            .build();
    while (!closed && !caller.closed()) {
      try {
        Thread.sleep(HEARTBEAT_MS);
        caller.call(RegistryServiceGrpc.getHeartbeatMethod(), request);
      } catch (InterruptedException ending) {
        return;
      } catch (FlowmeshException failed) {
        if (failed.kind() == Kind.NOT_FOUND) {
          again();
        } else if (!closed && !caller.closed()) {
          note(failed);
        }
      }
    }
  }

  private void again() {
    try {
      register();
    } catch (FlowmeshException failed) {
      note(failed);
    }
  }

  private void note(FlowmeshException failed) {
    LOG.log(System.Logger.Level.WARNING, "a heartbeat failed: {0}", failed.getMessage());
  }

  /**
   * Returns the instance.
   *
   * @return as registered
   */
  public Service service() {
    return service;
  }

  /** Ends the heartbeats and removes the instance. Closing again has no effect. */
  @Override
  public void close() {
    synchronized (beating) {
      if (closed) {
        return;
      }
      closed = true;
    }
    forget.run();
    beating.interrupt();
    try {
      beating.join();
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
    caller.call(
        RegistryServiceGrpc.getDeregisterInstanceMethod(),
        DeregisterInstanceRequest.newBuilder()
            .setNamespace(caller.namespace)
            .setId(instance.getId())
            .build());
  }
}
