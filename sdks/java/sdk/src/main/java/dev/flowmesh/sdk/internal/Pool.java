package dev.flowmesh.sdk.internal;

import dev.flowmesh.sdk.internal.Address.Tls;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.ClientCall;
import io.grpc.ConnectivityState;
import io.grpc.Context;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.ForwardingClientCallListener.SimpleForwardingClientCallListener;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.TlsChannelCredentials;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.util.AdvancedTlsX509KeyManager;
import io.grpc.util.AdvancedTlsX509TrustManager;
import java.io.Closeable;
import java.io.File;
import java.io.IOException;
import java.security.GeneralSecurityException;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A channel that spreads its calls over connections, opened as they are needed: a server accepts a
 * bounded number of calls on each, and further ones would wait in this process.
 */
final class Pool extends Channel {
  /** The W3C trace context that calls carry. */
  static final Context.Key<String> TRACEPARENT = Context.key("flowmesh-traceparent");

  private static final Metadata.Key<String> TRACE_HEADER =
      Metadata.Key.of("traceparent", Metadata.ASCII_STRING_MARSHALLER);
  private static final Metadata.Key<String> CREDENTIAL_HEADER =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final Credential credential;
  private final List<Closeable> reloads = new ArrayList<>();
  private final List<Connection> connections = new ArrayList<>();
  private final List<ManagedChannel> former = new ArrayList<>();
  private Address address;
  private ChannelCredentials security;
  private ScheduledExecutorService reloader;
  private boolean closed;

  private static final class Connection {
    final ManagedChannel channel;
    int calls;

    Connection(ManagedChannel channel) {
      this.channel = channel;
    }
  }

  Pool(Address address, Credential credential) {
    this.address = address;
    this.credential = credential;
    try {
      this.security = security(address.tls());
      connections.add(new Connection(opened()));
    } catch (RuntimeException failed) {
      close();
      throw failed;
    }
  }

  /** Returns the credentials of TLS, whose changed files are read again each minute. */
  private ChannelCredentials security(Tls files) {
    if (files == null) {
      return InsecureChannelCredentials.create();
    }
    if (reloader == null && !files.equals(new Tls("", "", ""))) {
      reloader = Executors.newSingleThreadScheduledExecutor(Caller::daemon);
    }
    TlsChannelCredentials.Builder builder = TlsChannelCredentials.newBuilder();
    if (files.certificate().isEmpty() != files.key().isEmpty()) {
      throw Address.invalid("a client certificate needs both its certificate and its key file");
    }
    try {
      if (!files.authority().isEmpty()) {
        AdvancedTlsX509TrustManager trust = AdvancedTlsX509TrustManager.newBuilder().build();
        reloads.add(
            trust.updateTrustCredentials(
                new File(files.authority()), 1, TimeUnit.MINUTES, reloader));
        builder.trustManager(trust);
      }
      if (!files.certificate().isEmpty()) {
        AdvancedTlsX509KeyManager own = new AdvancedTlsX509KeyManager();
        reloads.add(
            own.updateIdentityCredentials(
                new File(files.certificate()),
                new File(files.key()),
                1,
                TimeUnit.MINUTES,
                reloader));
        builder.keyManager(own);
      }
    } catch (IOException | GeneralSecurityException | IllegalArgumentException unreadable) {
      throw Address.invalid("cannot read the TLS file: %s", unreadable);
    }
    return builder.build();
  }

  private ManagedChannel opened() {
    ManagedChannelBuilder<?> builder =
        Grpc.newChannelBuilder(address.target(), security)
            .defaultLoadBalancingPolicy("round_robin")
            .maxInboundMessageSize(Limits.MESSAGE_BYTES)
            .keepAliveTime(20, TimeUnit.SECONDS)
            .keepAliveTimeout(10, TimeUnit.SECONDS)
            .idleTimeout(60, TimeUnit.SECONDS)
            .disableRetry()
            .disableServiceConfigLookUp();
    if (address.tls() == null && credential != null) {
      // A proxy of the environment would receive a credential that is meant for this machine.
      builder.proxyDetector(any -> null);
    }
    if (builder instanceof NettyChannelBuilder netty) {
      netty.withOption(
          io.grpc.netty.shaded.io.netty.channel.ChannelOption.CONNECT_TIMEOUT_MILLIS, 2000);
    }
    return builder.build();
  }

  /** Makes later calls to another address; former connections close with their last call. */
  synchronized void move(Address there) {
    if (closed) {
      throw Failures.closed();
    }
    if (!Objects.equals(there.tls(), address.tls())) {
      security = security(there.tls());
    }
    address = there;
    former.removeIf(ManagedChannel::isTerminated);
    for (Connection each : connections) {
      each.channel.shutdown();
      former.add(each.channel);
    }
    connections.clear();
    connections.add(new Connection(opened()));
  }

  /** Returns the address of later calls. */
  synchronized Address address() {
    return address;
  }

  /** Counts a call on the first connection with room, a new one, or the least used one. */
  private synchronized Connection picked() {
    if (closed) {
      throw Failures.closed();
    }
    Connection least = connections.get(0);
    for (Connection each : connections) {
      if (each.calls < Limits.CONNECTION_CALLS) {
        least = each;
        break;
      }
      least = each.calls < least.calls ? each : least;
    }
    if (least.calls >= Limits.CONNECTION_CALLS && connections.size() < Limits.CONNECTIONS) {
      least = new Connection(opened());
      connections.add(least);
    }
    least.calls++;
    return least;
  }

  private synchronized void release(Connection connection) {
    connection.calls--;
  }

  /** Lets every connection try again now: the delays of gRPC grow to minutes. */
  synchronized void reconnect() {
    connections.forEach(each -> each.channel.resetConnectBackoff());
  }

  /** Returns the state of the first connection, which begins to connect. */
  synchronized ConnectivityState connecting(Runnable changed) {
    ManagedChannel first = connections.get(0).channel;
    ConnectivityState state = first.getState(true);
    first.notifyWhenStateChanged(state, changed);
    return state;
  }

  synchronized boolean closed() {
    return closed;
  }

  /** Closes the connections, which ends open calls. */
  void close() {
    List<ManagedChannel> open;
    synchronized (this) {
      closed = true;
      open = new ArrayList<>(former);
      connections.forEach(each -> open.add(each.channel));
      connections.clear();
    }
    open.forEach(ManagedChannel::shutdownNow);
    for (Closeable each : reloads) {
      try {
        each.close();
      } catch (IOException harmless) {
        throw new IllegalStateException(harmless);
      }
    }
    reloads.clear();
    if (reloader != null) {
      reloader.shutdownNow();
    }
    try {
      for (ManagedChannel each : open) {
        each.awaitTermination(1, TimeUnit.SECONDS);
      }
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public String authority() {
    return address().target();
  }

  @Override
  public <Q, S> ClientCall<Q, S> newCall(MethodDescriptor<Q, S> method, CallOptions options) {
    String header = credential == null ? null : credential.header();
    String traceparent = TRACEPARENT.get();
    Connection connection = picked();
    AtomicBoolean released = new AtomicBoolean();
    Runnable release =
        () -> {
          if (released.compareAndSet(false, true)) {
            release(connection);
          }
        };
    ClientCall<Q, S> call = connection.channel.newCall(method, options);
    return new SimpleForwardingClientCall<>(call) {
      @Override
      public void start(Listener<S> listener, Metadata headers) {
        if (header != null) {
          headers.put(CREDENTIAL_HEADER, header);
        }
        if (traceparent != null) {
          headers.put(TRACE_HEADER, traceparent);
        }
        try {
          super.start(
              new SimpleForwardingClientCallListener<>(listener) {
                @Override
                public void onClose(Status status, Metadata trailers) {
                  release.run();
                  super.onClose(status, trailers);
                }
              },
              headers);
        } catch (RuntimeException failed) {
          release.run();
          throw failed;
        }
      }
    };
  }
}
