//! A service in the mesh: registered, and called through a channel that follows it.

use std::error::Error;

use flowmesh::mesh::{self, Service};
use flowmesh::Client;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{health_client::HealthClient, HealthCheckRequest};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = listener.local_addr()?.to_string();
    let (_, health) = tonic_health::server::health_reporter();
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    tokio::spawn(Server::builder().add_service(health).serve_with_incoming(incoming));

    let client = Client::connect("").await?;
    let billing = Service { name: "billing".to_owned(), endpoint, ..Service::default() };
    let registration = mesh::register(&client, billing).await?;
    let mut billing = HealthClient::new(mesh::channel(&client, "billing"));
    let answer = billing.check(HealthCheckRequest::default()).await?.into_inner();
    let status = ServingStatus::try_from(answer.status)?;
    println!("billing is {}", status.as_str_name());
    registration.close().await?;
    Ok(())
}
