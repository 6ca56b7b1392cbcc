package dev.flowmesh.sdk.mesh;

import dev.flowmesh.api.registry.v1.Instance;
import dev.flowmesh.api.registry.v1.InstanceStatus;
import dev.flowmesh.api.registry.v1.ListInstancesRequest;
import dev.flowmesh.api.registry.v1.RegistryServiceGrpc;
import dev.flowmesh.api.registry.v1.WatchInstancesRequest;
import dev.flowmesh.api.registry.v1.WatchInstancesResponse;
import dev.flowmesh.sdk.FlowmeshClient;
import dev.flowmesh.sdk.FlowmeshException;
import dev.flowmesh.sdk.Kind;
import dev.flowmesh.sdk.internal.Caller;
import dev.flowmesh.sdk.internal.Pages;
import dev.flowmesh.sdk.internal.Watch;
import io.grpc.CallOptions;
import io.grpc.stub.ClientCalls;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.TreeMap;
import java.util.UUID;
import java.util.stream.Stream;

/** The registry of services. */
public final class Mesh {
  private static final String PREFIX = "INSTANCE_STATUS_";

  private final Caller caller;

  /**
   * The registry of a client.
   *
   * @param client its connections
   */
  public Mesh(FlowmeshClient client) {
    this.caller = client.caller();
  }

  static Service service(Instance instance) {
    return new Service(
        instance.getName(),
        instance.getType(),
        instance.getEndpoint(),
        instance.getCapabilitiesList(),
        instance.getMetadataMap(),
        instance.getVersion(),
        instance.getId(),
        instance.getStatus().name().replaceFirst(PREFIX, ""));
  }

  /**
   * Registers an instance and sends its heartbeats.
   *
   * @param service the instance
   * @return its close ends it
   */
  public Registration register(Service service) {
    Instance instance =
        Instance.newBuilder()
            .setNamespace(caller.namespace)
            .setId(service.id().isEmpty() ? "service-" + UUID.randomUUID() : service.id())
            .setName(service.name())
            .setType(service.type())
            .setEndpoint(service.endpoint())
            .addAllCapabilities(service.capabilities())
            .putAllMetadata(service.metadata())
            .setVersion(service.version())
            .build();
    return new Registration(caller, instance);
  }

  /**
   * Lists the instances that a filter selects, by name and id.
   *
   * @param filter the selection
   * @return each iteration makes calls of its own
   */
  public Iterable<Service> list(Filter filter) {
    ListInstancesRequest.Builder request =
        ListInstancesRequest.newBuilder()
            .setNamespace(caller.namespace)
            .setName(filter.name())
            .setType(filter.type())
            .addAllCapabilities(filter.capabilities());
    for (String status : filter.statuses()) {
      request.addStatuses(status(status));
    }
    return () ->
        new Pages<>(
            token -> {
              var page =
                  caller.call(
                      RegistryServiceGrpc.getListInstancesMethod(),
                      request.clone().setPageToken(token).build());
              return new Pages.Page<>(
                  page.getInstancesList().stream().map(Mesh::service).toList(),
                  page.getNextPageToken());
            });
  }

  private static InstanceStatus status(String word) {
    try {
      return InstanceStatus.valueOf(PREFIX + word.toUpperCase(Locale.ROOT));
    } catch (IllegalArgumentException unknown) {
      throw new FlowmeshException(
          Kind.INVALID, "REQUEST_INVALID", "there is no status " + word + " of instances");
    }
  }

  /**
   * Watches the instances that a filter selects, sorted by id: now and after each change. While the
   * registry is away the last ones stay.
   *
   * @param filter the selection
   * @return to be closed
   */
  public Stream<List<Service>> watch(Filter filter) {
    return new Instances(filter).stream();
  }

  private final class Instances extends Watch<WatchInstancesResponse, List<Service>> {
    private final TreeMap<String, Service> known = new TreeMap<>();
    private final Filter filter;

    Instances(Filter filter) {
      super(caller);
      this.filter = filter;
    }

    @Override
    protected boolean givesUp() {
      return false;
    }

    @Override
    protected Iterator<WatchInstancesResponse> open() {
      List<String> capabilities = filter.capabilities();
      WatchInstancesRequest request =
          WatchInstancesRequest.newBuilder()
              .setNamespace(caller.namespace)
              .setName(filter.name())
              .setType(filter.type())
              .setCapability(capabilities.isEmpty() ? "" : capabilities.get(0))
              .build();
      return ClientCalls.blockingServerStreamingCall(
          caller.channel(),
          RegistryServiceGrpc.getWatchInstancesMethod(),
          CallOptions.DEFAULT,
          request);
    }

    @Override
    protected List<Service> accept(WatchInstancesResponse message) {
      if (message.getSnapshot()) {
        known.clear();
      }
      message.getInstancesList().forEach(each -> known.put(each.getId(), service(each)));
      return known.values().stream().filter(filter::selects).toList();
    }
  }
}
