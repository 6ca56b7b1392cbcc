package dev.flowmesh.conformance;

import dev.flowmesh.api.execution.v1.ExecutionServiceGrpc;
import dev.flowmesh.api.execution.v1.GetStatsRequest;
import dev.flowmesh.sdk.FlowmeshClient;
import dev.flowmesh.sdk.mesh.MeshResolver;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.NameResolverRegistry;
import io.grpc.Status;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** The instances that calls through the resolver reach. */
final class Picks {
  private Picks() {}

  static Map<String, Integer> counted(FlowmeshClient client, String name, int picks)
      throws Exception {
    MeshResolver resolver = new MeshResolver(client);
    NameResolverRegistry.getDefaultRegistry().register(resolver);
    ManagedChannel channel =
        Grpc.newChannelBuilder("flowmesh:///" + name, InsecureChannelCredentials.create())
            .defaultLoadBalancingPolicy("round_robin")
            .build();
    Map<String, Integer> counts = new TreeMap<>();
    try {
      for (int n = 0; n < picks; n++) {
        counts.merge(reached(channel), 1, Integer::sum);
      }
    } finally {
      channel.shutdownNow();
      NameResolverRegistry.getDefaultRegistry().deregister(resolver);
    }
    return counts;
  }

  private static String reached(ManagedChannel channel) throws Exception {
    CompletableFuture<String> address = new CompletableFuture<>();
    ClientCall<GetStatsRequest, ?> call =
        channel.newCall(
            ExecutionServiceGrpc.getGetStatsMethod(),
            CallOptions.DEFAULT.withWaitForReady().withDeadlineAfter(10, TimeUnit.SECONDS));
    call.start(new Listener<>(call, address), new Metadata());
    call.request(1);
    call.sendMessage(GetStatsRequest.getDefaultInstance());
    call.halfClose();
    return address.get();
  }

  private static final class Listener<S> extends ClientCall.Listener<S> {
    private final ClientCall<?, ?> call;
    private final CompletableFuture<String> address;

    Listener(ClientCall<?, ?> call, CompletableFuture<String> address) {
      this.call = call;
      this.address = address;
    }

    @Override
    public void onClose(Status status, Metadata trailers) {
      Object peer = call.getAttributes().get(Grpc.TRANSPORT_ATTR_REMOTE_ADDR);
      if (peer == null) {
        address.completeExceptionally(status.asException());
      } else {
        address.complete(peer.toString().replaceFirst("^.*/", ""));
      }
    }
  }
}
