package dev.flowmesh.examples;

import dev.flowmesh.sdk.FlowmeshClient;
import dev.flowmesh.sdk.mesh.MeshResolver;
import dev.flowmesh.sdk.mesh.Registration;
import dev.flowmesh.sdk.mesh.Service;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.NameResolverRegistry;
import io.grpc.Server;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.services.HealthStatusManager;
import java.net.InetSocketAddress;
import java.util.concurrent.TimeUnit;

/** A service in the mesh: serves gRPC, registers itself, and calls itself by its name. */
public final class Mesh {
  private Mesh() {}

  /**
   * Runs the example.
   *
   * @param arguments none
   * @throws Exception if a call fails
   */
  public static void main(String[] arguments) throws Exception {
    Server server =
        NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", 0))
            .addService(new HealthStatusManager().getHealthService())
            .build()
            .start();
    Service billing = Service.of("billing", "127.0.0.1:" + server.getPort(), "invoices");
    try (FlowmeshClient client = FlowmeshClient.connect("");
        // Heartbeats keep it healthy until the registration or the client is closed.
        Registration registration =
            new dev.flowmesh.sdk.mesh.Mesh(client).register(billing)) {
      NameResolverRegistry.getDefaultRegistry().register(new MeshResolver(client));
      ManagedChannel channel =
          Grpc.newChannelBuilder("flowmesh:///billing", InsecureChannelCredentials.create())
              .build();
      var health = HealthGrpc.newBlockingStub(channel).withWaitForReady();
      var answer =
          health
              .withDeadlineAfter(30, TimeUnit.SECONDS)
              .check(HealthCheckRequest.getDefaultInstance());
      System.out.println("billing is " + answer.getStatus());
      channel.shutdownNow();
    } finally {
      server.shutdownNow();
    }
  }
}
