//! Connections, calls, credentials and payloads that the client and the worker share.

pub(crate) mod budget;
pub(crate) mod caller;
pub(crate) mod credential;
pub(crate) mod endpoint;
pub(crate) mod finite;
pub(crate) mod limits;
pub(crate) mod payload;
pub(crate) mod pool;
pub(crate) mod reconnect;
pub(crate) mod sealing;

use std::sync::{Mutex, MutexGuard, PoisonError};

use tonic::transport::Channel;

/// The messages and clients of the contracts.
pub(crate) use flowmesh_proto::flowmesh::api;

/// Lock a mutex; one whose holder panicked still has whole data.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Return a random UUID.
pub(crate) fn random_id() -> String {
    let mut bits: u128 = rand::random();
    bits = bits & !(0xf << 76) | (4 << 76);
    bits = bits & !(3 << 62) | (2 << 62);
    let text = format!("{bits:032x}");
    let parts = [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]];
    parts.join("-")
}

macro_rules! services {
    ($($name:ident: $module:ident, $client:ident, $service:ident;)*) => {$(
        /// Return the client of a service, for the message sizes of the SDK.
        pub(crate) fn $name(channel: Channel) -> api::$module::v1::$client::$service<Channel> {
            api::$module::v1::$client::$service::new(channel)
                .max_decoding_message_size(limits::MESSAGE_BYTES_MAX)
                .max_encoding_message_size(limits::MESSAGE_BYTES_MAX)
        }
    )*};
}

services! {
    auth: identity, auth_service_client, AuthServiceClient;
    definitions: definition, definition_service_client, DefinitionServiceClient;
    events: event, event_service_client, EventServiceClient;
    executions: execution, execution_service_client, ExecutionServiceClient;
    histories: history, history_service_client, HistoryServiceClient;
    payloads: execution, payload_service_client, PayloadServiceClient;
    registry: registry, registry_service_client, RegistryServiceClient;
    work: worker, worker_service_client, WorkerServiceClient;
}

/// Make a unary call with its retries: `unary!(caller, executions.get_execution, request)`.
macro_rules! unary {
    ($caller:expr, $service:ident.$method:ident, $request:expr) => {
        $crate::core::unary!(
            $caller,
            $service.$method,
            $request,
            $crate::core::caller::Limits::default()
        )
    };
    ($caller:expr, $service:ident.$method:ident, $request:expr, $limits:expr) => {
        $caller.call($limits, $request, |channel, request| async move {
            $crate::core::$service(channel).$method(request).await
        })
    };
}
pub(crate) use unary;
