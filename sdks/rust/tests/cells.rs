//! Refusals that name another cell: followed once, and later calls go there directly.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{ready, Ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use flowmesh::Client;
use serde_json::{json, Value};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// A gateway that refuses every call, and the credentials that it received.
#[derive(Clone)]
struct Gateway {
    address: String,
    refusal: Arc<Mutex<Status>>,
    received: Arc<Mutex<Vec<String>>>,
}

impl NamedService for Gateway {
    const NAME: &'static str = "flowmesh.api.execution.v1.ExecutionService";
}

impl tower::Service<http::Request<Body>> for Gateway {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let sent = request.headers().get("authorization").expect("a credential");
        let sent = sent.to_str().expect("text").to_owned();
        self.received.lock().expect("a lock").push(sent);
        ready(Ok(self.refusal.lock().expect("a lock").clone().into_http()))
    }
}

impl Gateway {
    /// Serve calls, to which the workflow is unknown.
    async fn serve() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let refusal = refused(Code::NotFound, "WORKFLOW_NOT_FOUND", "");
        let gateway = Self {
            address: listener.local_addr().expect("an address").to_string(),
            refusal: Arc::new(Mutex::new(refusal)),
            received: Arc::default(),
        };
        let incoming = TcpListenerStream::new(listener);
        let serving = Server::builder().add_service(gateway.clone());
        tokio::spawn(serving.serve_with_incoming(incoming));
        gateway
    }

    /// Name another cell from now on.
    fn misdirect(&self, address: &str) {
        let refusal = refused(Code::FailedPrecondition, "CELL_MISDIRECTED", address);
        *self.refusal.lock().expect("a lock") = refusal;
    }

    fn client(&self) -> Client {
        Client::builder(&self.address).token("token").build().expect("a client")
    }

    fn received(&self) -> Vec<String> {
        self.received.lock().expect("a lock").clone()
    }
}

fn refused(code: Code, reason: &str, address: &str) -> Status {
    let metadata = HashMap::from([("address".to_owned(), address.to_owned())]);
    let details = ErrorDetails::with_error_info(reason, "flowmesh", metadata);
    Status::with_error_details(code, "refused", details)
}

async fn reason_of_a_start(client: &Client) -> String {
    let started = client.start("any", &json!({})).await.map(|_| ());
    started.expect_err("a refusal").reason().to_owned()
}

#[tokio::test]
async fn calls_are_repeated_there_and_then_go_direct() {
    let (us, eu) = (Gateway::serve().await, Gateway::serve().await);
    us.misdirect(&eu.address);
    let client = us.client();
    for _ in 0..2 {
        assert_eq!(reason_of_a_start(&client).await, "WORKFLOW_NOT_FOUND");
    }
    assert_eq!(us.received().len(), 1);
    assert_eq!(eu.received(), ["Bearer token", "Bearer token"]);
}

#[tokio::test]
async fn streams_are_opened_there() {
    let (us, eu) = (Gateway::serve().await, Gateway::serve().await);
    us.misdirect(&eu.address);
    let client = us.client();
    let session = client.session();
    let call = session.start("any", &json!({})).await.expect("a call");
    let error = call.result::<Value>().await.expect_err("a refusal");
    assert_eq!(error.reason(), "WORKFLOW_NOT_FOUND");
    assert_eq!((us.received().len(), eu.received().is_empty()), (1, false));
}

#[tokio::test]
async fn cells_that_name_each_other_are_an_error() {
    let (us, eu) = (Gateway::serve().await, Gateway::serve().await);
    us.misdirect(&eu.address);
    eu.misdirect(&us.address);
    assert_eq!(reason_of_a_start(&us.client()).await, "CELL_MISDIRECTED");
    assert_eq!((us.received().len(), eu.received().len()), (1, 1));
}

#[tokio::test]
async fn a_credential_is_not_sent_in_plain_text_to_a_cell_on_another_host() {
    let us = Gateway::serve().await;
    us.misdirect("example.com:7450");
    assert_eq!(reason_of_a_start(&us.client()).await, "PLAINTEXT_REFUSED");
}
