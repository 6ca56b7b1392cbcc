//! Services that are registered with Flowmesh: lists, changes, own registrations, and channels
//! that follow them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use async_stream::{stream, try_stream};
use futures_util::StreamExt;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::{channel, Channel, Endpoint};
use tower::discover::Change;

use crate::core::api::registry::v1 as message;
use crate::core::reconnect::Reconnect;
use crate::core::{random_id, registry, unary};
use crate::{Client, Error, Kind, Result, Stream};

const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
const CHANGES_MAX: usize = 1024;

/// The status of an instance that responds well.
pub const HEALTHY: &str = "HEALTHY";
/// The status of an instance that responds, and not well.
pub const DEGRADED: &str = "DEGRADED";

/// An instance of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// The name of the service.
    pub name: String,
    /// Any word; empty is `API`.
    pub kind: String,
    /// `host:port` of gRPC, or a URL. Without a host the registry uses the address that sent the
    /// registration.
    pub endpoint: String,
    /// The capabilities by which it is found.
    pub capabilities: Vec<String>,
    /// Any further facts.
    pub metadata: HashMap<String, String>,
    /// The version of the service.
    pub version: String,
    /// Unique; empty is a random one.
    pub id: String,
    /// The status, which the registry sets, such as [`HEALTHY`].
    pub status: String,
}

impl Service {
    fn of(found: message::Instance) -> Self {
        let status = match message::InstanceStatus::try_from(found.status) {
            Ok(status) => status.as_str_name().trim_start_matches("INSTANCE_STATUS_").to_owned(),
            Err(_) => found.status.to_string(),
        };
        Self {
            name: found.name,
            kind: found.r#type,
            endpoint: found.endpoint,
            capabilities: found.capabilities,
            metadata: found.metadata,
            version: found.version,
            id: found.id,
            status,
        }
    }
}

/// The selection of instances; empty fields select all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The name of the service.
    pub name: String,
    /// The kind of the service.
    pub kind: String,
    /// The capabilities, all of which an instance has.
    pub capabilities: Vec<String>,
    /// The statuses, one of which an instance has.
    pub statuses: Vec<String>,
}

impl Filter {
    fn selects(&self, service: &Service) -> bool {
        (self.statuses.is_empty() || self.statuses.contains(&service.status))
            && self.capabilities.iter().all(|each| service.capabilities.contains(each))
    }
}

/// An instance that stays registered until it is closed, or dropped.
pub struct Registration {
    service: Service,
    client: Client,
    end: CancellationToken,
    beating: Option<JoinHandle<()>>,
}

/// Register an instance and send its heartbeats.
pub async fn register(client: &Client, mut service: Service) -> Result<Registration> {
    if service.id.is_empty() {
        service.id = format!("service-{}", random_id());
    }
    if service.kind.is_empty() {
        service.kind = "API".to_owned();
    }
    let found = registered(client, &service).await?;
    let end = client.caller.ended.child_token();
    let beating = tokio::spawn(beat(client.clone(), service, end.clone()));
    Ok(Registration { service: found, client: client.clone(), end, beating: Some(beating) })
}

async fn registered(client: &Client, service: &Service) -> Result<Service> {
    let request = message::RegisterInstanceRequest {
        instance: Some(message::Instance {
            namespace: client.namespace().to_owned(),
            id: service.id.clone(),
            name: service.name.clone(),
            r#type: service.kind.clone(),
            endpoint: service.endpoint.clone(),
            capabilities: service.capabilities.clone(),
            metadata: service.metadata.clone(),
            version: service.version.clone(),
            ..message::Instance::default()
        }),
        heartbeat_interval_ms: HEARTBEAT_EVERY.as_millis() as i64,
        ..message::RegisterInstanceRequest::default()
    };
    let call = unary!(client.caller, registry.register_instance, request);
    Ok(Service::of(call.await?.instance.unwrap_or_default()))
}

async fn beat(client: Client, service: Service, end: CancellationToken) {
    let mut ticks = tokio::time::interval(HEARTBEAT_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.tick().await;
    let beats = async {
        loop {
            ticks.tick().await;
            let request = message::HeartbeatRequest {
                namespace: client.namespace().to_owned(),
                id: service.id.clone(),
                status: message::InstanceStatus::Healthy as i32,
                ..message::HeartbeatRequest::default()
            };
            let call = unary!(client.caller, registry.heartbeat, request);
            let failure = match call.await {
                Err(error) if error.kind() == Kind::NotFound => {
                    registered(&client, &service).await.err()
                }
                other => other.err(),
            };
            if let Some(error) = failure {
                tracing::warn!(service = service.name, %error, "the heartbeat of a service failed");
            }
        }
    };
    tokio::select! {
        () = end.cancelled() => {}
        () = beats => {}
    }
}

impl Registration {
    /// Return the instance as the registry has it.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// End the heartbeats and remove the instance.
    pub async fn close(mut self) -> Result<()> {
        self.end.cancel();
        if let Some(beating) = self.beating.take() {
            // A canceled task has ended too.
            let _ = beating.await;
        }
        let request = message::DeregisterInstanceRequest {
            namespace: self.client.namespace().to_owned(),
            id: self.service.id.clone(),
            ..message::DeregisterInstanceRequest::default()
        };
        let call = unary!(self.client.caller, registry.deregister_instance, request);
        call.await.map(drop)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

/// Return the instances that a filter selects, by name and id.
pub fn list(client: &Client, filter: Filter) -> Stream<Service> {
    let client = client.clone();
    Box::pin(try_stream! {
        let number = |status: &String| {
            let name = format!("INSTANCE_STATUS_{}", status.to_uppercase());
            // An unknown word becomes a number that the server refuses.
            message::InstanceStatus::from_str_name(&name).map_or(-1, |found| found as i32)
        };
        let mut request = message::ListInstancesRequest {
            namespace: client.namespace().to_owned(),
            name: filter.name,
            r#type: filter.kind,
            capabilities: filter.capabilities,
            statuses: filter.statuses.iter().map(number).collect(),
            ..message::ListInstancesRequest::default()
        };
        loop {
            let call = unary!(client.caller, registry.list_instances, request.clone());
            let response = call.await?;
            for each in response.instances {
                yield Service::of(each);
            }
            if response.next_page_token.is_empty() {
                return;
            }
            request.page_token = response.next_page_token;
        }
    })
}

/// Return the instances that a filter selects, sorted by id, now and after each change. While the
/// registry is away the last ones stay; an error is the last item.
pub fn watch(client: &Client, filter: Filter) -> Stream<Vec<Service>> {
    let client = client.clone();
    Box::pin(stream! {
        let caller = client.caller.clone();
        let mut reconnect = Reconnect::new(&caller);
        loop {
            let failure = match opened(&client, &mut reconnect, &filter).await {
                Err(error) => Some(error),
                Ok((_attempt, mut messages)) => {
                    let mut known = BTreeMap::new();
                    loop {
                        let response = match caller.scoped(messages.message()).await {
                            Err(error) => break Some(error),
                            Ok(Err(status)) => break Some(Error::from_status(&status)),
                            Ok(Ok(None)) => break None,
                            Ok(Ok(Some(response))) => response,
                        };
                        reconnect.connected();
                        if response.snapshot {
                            known.clear();
                        }
                        for each in response.instances {
                            known.insert(each.id.clone(), Service::of(each));
                        }
                        yield Ok(known.values().filter(|s| filter.selects(s)).cloned().collect());
                    }
                }
            };
            reconnect.broken(failure).await;
            if reconnect.refused() {
                yield Err(reconnect.error());
                return;
            }
            if let Err(error) = reconnect.pause().await {
                yield Err(error);
                return;
            }
        }
    })
}

async fn opened(
    client: &Client,
    reconnect: &mut Reconnect,
    filter: &Filter,
) -> Result<(crate::core::caller::Attempt, tonic::Streaming<message::WatchInstancesResponse>)> {
    let caller = &client.caller;
    let attempt = caller.scoped(reconnect.opening()).await??;
    let request = message::WatchInstancesRequest {
        namespace: client.namespace().to_owned(),
        name: filter.name.clone(),
        r#type: filter.kind.clone(),
        capability: filter.capabilities.first().cloned().unwrap_or_default(),
        ..message::WatchInstancesRequest::default()
    };
    let mut service = registry(attempt.channel());
    let answer = caller.scoped(service.watch_instances(attempt.request(request))).await?;
    Ok((attempt, answer.map_err(|status| Error::from_status(&status))?.into_inner()))
}

/// Return the changes of a service's addresses, for `tower::discover`: the healthy instances,
/// without a healthy one the degraded ones.
pub fn discover(client: &Client, name: &str) -> Stream<Change<String, ()>> {
    let client = client.clone();
    let filter = Filter { name: name.to_owned(), ..Filter::default() };
    Box::pin(stream! {
        let mut current = HashSet::new();
        let mut changes = watch(&client, filter);
        while let Some(change) = changes.next().await {
            let services = match change {
                Ok(services) => services,
                Err(error) => {
                    yield Err(error);
                    return;
                }
            };
            let next = addresses(&services);
            // Added before others are removed, so that calls always have an instance.
            for added in next.difference(&current) {
                yield Ok(Change::Insert(added.clone(), ()));
            }
            for removed in current.difference(&next) {
                yield Ok(Change::Remove(removed.clone()));
            }
            current = next;
        }
    })
}

fn addresses(services: &[Service]) -> HashSet<String> {
    let of = |status: &str| -> HashSet<String> {
        let usable = |each: &&Service| each.status == status && !each.endpoint.contains("://");
        services.iter().filter(usable).map(|each| each.endpoint.clone()).collect()
    };
    let healthy = of(HEALTHY);
    if healthy.is_empty() {
        of(DEGRADED)
    } else {
        healthy
    }
}

/// Return a channel of tonic whose calls reach the instances of a service, in plain text, and
/// follow every change while the client is open.
pub fn channel(client: &Client, name: &str) -> Channel {
    let (channel, sender) = Channel::balance_channel(CHANGES_MAX);
    let mut changes = discover(client, name);
    let name = name.to_owned();
    tokio::spawn(async move {
        loop {
            let change = tokio::select! {
                change = changes.next() => change,
                () = sender.closed() => return,
            };
            let change = match change {
                Some(Ok(Change::Insert(address, ()))) => {
                    match Endpoint::from_shared(format!("http://{address}")) {
                        Ok(endpoint) => channel::Change::Insert(address, endpoint),
                        Err(error) => {
                            tracing::warn!(service = name, address, %error, "no address of gRPC");
                            continue;
                        }
                    }
                }
                Some(Ok(Change::Remove(address))) => channel::Change::Remove(address),
                Some(Err(Error::Closed)) | None => return,
                Some(Err(error)) => {
                    tracing::warn!(service = name, %error, "the service is not followed any more");
                    return;
                }
            };
            if sender.send(change).await.is_err() {
                return;
            }
        }
    });
    channel
}
