package dev.flowmesh.sdk.mesh;

import dev.flowmesh.sdk.FlowmeshClient;
import dev.flowmesh.sdk.FlowmeshException;
import io.grpc.EquivalentAddressGroup;
import io.grpc.NameResolver;
import io.grpc.NameResolverProvider;
import io.grpc.Status;
import io.grpc.StatusOr;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.URI;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/**
 * Resolves targets {@code flowmesh:///billing}. A channel then has the healthy instances of that
 * service, without a healthy one the degraded ones, and follows every change. Register it with
 * {@code NameResolverRegistry}; the client must stay open.
 */
public final class MeshResolver extends NameResolverProvider {
  /** The scheme of targets. */
  public static final String SCHEME = "flowmesh";

  private final Mesh mesh;

  /**
   * A resolver by the registry of a client.
   *
   * @param client its connections
   */
  public MeshResolver(FlowmeshClient client) {
    this.mesh = new Mesh(client);
  }

  @Override
  protected boolean isAvailable() {
    return true;
  }

  @Override
  protected int priority() {
    return 5;
  }

  @Override
  public String getDefaultScheme() {
    return SCHEME;
  }

  @Override
  public Collection<Class<? extends SocketAddress>> getProducedSocketAddressTypes() {
    return Set.of(InetSocketAddress.class);
  }

  @Override
  public NameResolver newNameResolver(URI target, NameResolver.Args args) {
    String name = target.getPath() == null ? "" : target.getPath().replaceFirst("^/", "");
    return SCHEME.equals(target.getScheme()) && !name.isEmpty()
        ? new Following(mesh, name, args)
        : null;
  }

  private static final class Following extends NameResolver {
    private final Mesh mesh;
    private final String name;
    private final Args args;
    private volatile Stream<List<Service>> watched = Stream.empty();

    Following(Mesh mesh, String name, Args args) {
      this.mesh = mesh;
      this.name = name;
      this.args = args;
    }

    @Override
    public String getServiceAuthority() {
      return name;
    }

    @Override
    public void start(Listener2 listener) {
      watched = mesh.watch(Filter.of(name));
      Thread thread = new Thread(() -> follow(listener), "flowmesh-resolver");
      thread.setDaemon(true);
      thread.start();
    }

    private void follow(Listener2 listener) {
      try {
        watched.forEach(services -> publish(listener, addresses(services)));
      } catch (FlowmeshException failed) {
        Status status = Status.UNAVAILABLE.withDescription(failed.getMessage());
        args.getSynchronizationContext().execute(() -> listener.onError(status));
      }
    }

    private void publish(Listener2 listener, List<EquivalentAddressGroup> found) {
      StatusOr<List<EquivalentAddressGroup>> result =
          found.isEmpty()
              ? StatusOr.fromStatus(
                  Status.UNAVAILABLE.withDescription("no instance of " + name + " is healthy"))
              : StatusOr.fromValue(found);
      ResolutionResult resolved =
          ResolutionResult.newBuilder().setAddressesOrError(result).build();
      args.getSynchronizationContext().execute(() -> listener.onResult2(resolved));
    }

    private static List<EquivalentAddressGroup> addresses(List<Service> services) {
      for (String status : List.of("HEALTHY", "DEGRADED")) {
        List<EquivalentAddressGroup> found =
            services.stream()
                .filter(each -> each.status().equals(status))
                .filter(each -> !each.endpoint().contains("://"))
                .map(each -> new EquivalentAddressGroup(address(each.endpoint())))
                .toList();
        if (!found.isEmpty()) {
          return found;
        }
      }
      return List.of();
    }

    private static InetSocketAddress address(String endpoint) {
      int colon = endpoint.lastIndexOf(':');
      String host = endpoint.substring(0, colon).replaceAll("[\\[\\]]", "");
      return new InetSocketAddress(host, Integer.parseInt(endpoint.substring(colon + 1)));
    }

    @Override
    public void shutdown() {
      watched.close();
    }
  }
}
