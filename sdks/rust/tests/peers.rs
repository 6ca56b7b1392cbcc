//! Bad addresses, values and peers, without a suite.

use std::future::IntoFuture;
use std::time::{Duration, Instant};

use flowmesh::worker::{Context, Worker};
use flowmesh::{Client, Kind, TaskError, Tls};
use serde_json::{json, Value};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

fn kind_of<T>(outcome: flowmesh::Result<T>) -> (Kind, String) {
    match outcome {
        Ok(_) => panic!("it succeeded"),
        Err(error) => (error.kind(), error.reason().to_owned()),
    }
}

fn local() -> Client {
    Client::builder("127.0.0.1:1").without_credential().build().expect("a client")
}

#[test]
fn addresses_are_checked_before_a_connection() {
    let wrong = ["nonsense", "ftp://host:1", "host:99999", "host:0", "a b:1", "user@host:1", ":1"];
    for address in wrong {
        let found = kind_of(Client::builder(address).build());
        assert_eq!(found, (Kind::Invalid, "ENDPOINT_INVALID".to_owned()), "{address}");
    }
    assert!(Client::builder("[::1]:7450").without_credential().build().is_ok());
}

#[test]
fn credentials_are_checked_before_a_connection() {
    let spaces = Client::builder("127.0.0.1:1").api_key("with space").build();
    assert_eq!(kind_of(spaces).1, "CREDENTIAL_MALFORMED");
    let two = Client::builder("127.0.0.1:1").api_key("one").token("two").build();
    assert_eq!(kind_of(two).1, "CREDENTIAL_MALFORMED");
    let plain = Client::builder("grpc://example.com:1").api_key("key").build();
    assert_eq!(kind_of(plain).1, "PLAINTEXT_REFUSED");
}

#[test]
fn files_of_tls_are_read_before_a_connection() {
    let files = Tls { ca: Some("no-such-file.pem".into()), ..Tls::default() };
    let found = Client::builder("grpcs://127.0.0.1:1").tls(files).build();
    assert_eq!(kind_of(found).1, "ENDPOINT_INVALID");
    let half = Tls { key: Some("key.pem".into()), ..Tls::default() };
    let found = Client::builder("grpcs://127.0.0.1:1").tls(half).build();
    assert_eq!(kind_of(found).1, "ENDPOINT_INVALID");
}

#[tokio::test]
async fn a_server_of_http_1_is_named_within_its_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            // A client that has gone is none of this server's business.
            let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let began = Instant::now();
    let error = Client::connect(&address).await.expect_err("a refusal");
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().contains(&address), "{error}");
    assert!(began.elapsed() < Duration::from_secs(7));
}

#[tokio::test]
async fn values_that_json_cannot_hold_are_refused_before_the_wire() {
    let client = local();
    let began = Instant::now();
    for value in [f64::NAN, f64::INFINITY] {
        let found = kind_of(client.start("any", &json_with(value)).await);
        assert_eq!(found, (Kind::Invalid, "JSON_INVALID".to_owned()));
    }
    let keys = std::collections::HashMap::from([((1, 2), 3)]);
    assert_eq!(kind_of(client.start("any", &keys).await).1, "JSON_INVALID");
    assert!(began.elapsed() < Duration::from_secs(1));
}

fn json_with(number: f64) -> (Vec<Option<f64>>, &'static str) {
    (vec![None, Some(number)], "text")
}

#[tokio::test]
async fn numbers_stay_exact() {
    let text = "[9007199254740993,123456789012345678901234567890,0.1]";
    let value: Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(value.to_string(), text);
}

#[tokio::test]
async fn deadlines_of_any_size_are_kept() {
    let client = local();
    let none = client.run::<Value>("any", &json!({})).timeout(Duration::ZERO).await;
    assert!(matches!(kind_of(none).0, Kind::Timeout | Kind::Unavailable));
    let found = client.handle("e").result_within::<Value>(Duration::ZERO).await;
    assert_eq!(kind_of(found), (Kind::Timeout, "SYNC_TIMEOUT".to_owned()));
    let endless = client.run::<Value>("any", &json!({})).timeout(Duration::MAX);
    let cut = tokio::time::timeout(Duration::from_millis(50), endless.into_future()).await;
    assert!(cut.is_err());
}

#[tokio::test]
async fn calls_after_the_close_are_refused() {
    let client = local();
    client.close();
    client.close();
    assert_eq!(kind_of(client.start("any", &json!({})).await).0, Kind::Closed);
    assert_eq!(kind_of(client.handle("e").describe().await).0, Kind::Closed);
    let session = client.session();
    session.close().await;
    assert_eq!(kind_of(session.start("any", &json!({})).await).0, Kind::Closed);
    let worker = Worker::new(&client).task("any", echo).start().await;
    assert_eq!(kind_of(worker).0, Kind::Closed);
}

async fn echo(value: Value, _: Context) -> Result<Value, TaskError> {
    Ok(value)
}

#[tokio::test]
async fn wrong_workers_are_refused_before_a_connection() {
    let client = local();
    let none = Worker::new(&client).start().await;
    assert_eq!(kind_of(none).1, "HELLO_INVALID");
    let twice = Worker::new(&client).task("a", echo).task("a", echo).start().await;
    assert_eq!(kind_of(twice).1, "HELLO_INVALID");
    let slots = Worker::new(&client).task("a", echo).slots(0).start().await;
    assert_eq!(kind_of(slots).1, "HELLO_INVALID");
}

#[test]
fn no_task_is_left_after_the_close() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("one");
    runtime.block_on(async {
        let client = local();
        let session = client.session();
        let starting = tokio::spawn({
            let client = client.clone();
            async move { client.start("any", &json!({})).await.map(|_| ()) }
        });
        tokio::task::yield_now().await;
        client.close();
        session.close().await;
        assert!(starting.await.expect("no panic").is_err());
        let metrics = tokio::runtime::Handle::current().metrics();
        let began = Instant::now();
        while metrics.num_alive_tasks() > 0 && began.elapsed() < Duration::from_secs(2) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(metrics.num_alive_tasks(), 0);
    });
}

#[test]
fn errors_of_handlers_have_the_class_of_their_type() {
    let number: TaskError = "x".parse::<u32>().expect_err("no number").into();
    assert_eq!(number.class(), "ParseIntError");
    assert_eq!(TaskError::non_retryable("never").class(), "NonRetryable");
    assert_eq!(TaskError::new("CardDeclined", "no funds").to_string(), "CardDeclined: no funds");
}
