//! The driver of the Rust SDK: it reads commands as JSON lines, makes calls and writes answers
//! (see sdks/conformance/protocol.md).

mod behaviors;
mod bench;
mod command;
mod services;
mod values;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use behaviors::Ledger;
use command::Command;
use flowmesh::mesh::Registration;
use flowmesh::worker::{Context, Running, Worker};
use flowmesh::{Client, ExecutionStatus, Executions, Handle, SealingKeys, Session, Tls};
use futures_util::{future, StreamExt};
use serde_json::{json, Value};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;
use values::{given, Wrong};

type Answer = Result<Value, Wrong>;

#[derive(Default)]
struct Objects {
    clients: HashMap<String, Client>,
    workers: HashMap<String, (Arc<Running>, Arc<Ledger>)>,
    sessions: HashMap<String, Session>,
    services: HashMap<String, Registration>,
}

struct Driver {
    objects: Mutex<Objects>,
}

fn usage(message: impl Into<String>) -> Wrong {
    Wrong::Usage(message.into())
}

fn named(name: &Option<String>) -> String {
    name.clone().unwrap_or_else(|| "main".to_owned())
}

fn of<T: Clone>(objects: &HashMap<String, T>, name: &Option<String>) -> Result<T, Wrong> {
    let name = named(name);
    objects.get(&name).cloned().ok_or_else(|| usage(format!("there is no object {name}")))
}

fn alive() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

impl Driver {
    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn client(&self, c: &Command) -> Result<Client, Wrong> {
        of(&self.objects().clients, &c.client)
    }

    fn handle(&self, c: &Command) -> Result<Handle, Wrong> {
        Ok(self.client(c)?.handle(&c.execution))
    }

    async fn open(&self, c: &Command) -> Answer {
        let mut builder = Client::builder(&c.address).namespace(&c.namespace).api_key(&c.api_key);
        if c.provider.is_empty() {
            builder = builder.token(&c.token);
        } else {
            let (provider, token) = (c.provider.clone(), c.token.clone());
            builder = builder.token_source(move || {
                let (provider, token) = (provider.clone(), token.clone());
                async move {
                    match provider.as_str() {
                        "throws" => return Err("no token today"),
                        "crlf" => return Ok("a\r\nb".to_owned()),
                        _ => tokio::time::sleep(Duration::from_millis(500)).await,
                    }
                    Ok(token)
                }
            });
        }
        if !c.ca.is_empty() {
            let path = |text: &String| (!text.is_empty()).then(|| text.into());
            let (ca, certificate, key) = (path(&c.ca), path(&c.certificate), path(&c.key));
            builder = builder.tls(Tls { ca, certificate, key });
        }
        if !c.sealing.is_empty() {
            builder = builder.codec(SealingKeys::read(&c.sealing)?.only(c.only.clone()));
        }
        let client = builder.connect().await?;
        self.objects().clients.insert(named(&c.client), client);
        Ok(json!({}))
    }

    async fn close(&self, c: &Command) -> Answer {
        if c.worker.is_some() || c.verb == "drain" {
            let (worker, _) = of(&self.objects().workers, &c.worker)?;
            worker.stop().await;
        } else if c.session.is_some() {
            let session = of(&self.objects().sessions, &c.session)?;
            session.close().await;
        } else {
            self.client(c)?.close();
        }
        Ok(json!({}))
    }

    async fn reset(&self) -> Answer {
        let objects = std::mem::take(&mut *self.objects());
        for service in objects.services.into_values() {
            // The registry forgets an instance whose client was closed before.
            let _ = service.close().await;
        }
        future::join_all(objects.workers.values().map(|(worker, _)| worker.stop())).await;
        objects.clients.values().for_each(Client::close);
        future::join_all(objects.sessions.values().map(Session::close)).await;
        Ok(json!({}))
    }

    /// Count the tasks beside the writer and this command; those of closed connections need a
    /// moment to end.
    async fn leaks(&self) -> Answer {
        let mut open = 0;
        for _ in 0..100 {
            open = alive().saturating_sub(2);
            if open == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(json!({"open": open}))
    }

    async fn apply(&self, c: &Command) -> Answer {
        let resources = self.client(c)?.apply(c.source.as_bytes()).await?;
        let shown = resources.iter().map(|each| {
            json!({
                "kind": each.kind, "name": each.name,
                "version": each.version, "created": each.created,
            })
        });
        Ok(json!({"resources": shown.collect::<Vec<_>>()}))
    }

    async fn start(&self, c: &Command) -> Answer {
        let start = self.client(c)?.start(&c.workflow, &given(c.input.as_ref()));
        let handle = c.start(start).wait_at_most(Duration::from_millis(c.wait_ms)).await?;
        Ok(json!({"id": handle.id(), "created": handle.created()}))
    }

    async fn run(&self, c: &Command) -> Answer {
        let start = self.client(c)?.run(&c.workflow, &given(c.input.as_ref()));
        let output: Value = c.start(start).timeout(c.limit()).await?;
        Ok(json!({"output": output}))
    }

    async fn list(&self, c: &Command) -> Answer {
        let unknown = ExecutionStatus::Unknown(-1);
        let status = |word: &String| ExecutionStatus::from_word(word).unwrap_or(unknown);
        let mut executions = self.client(c)?.list(Executions {
            workflow_id: c.workflow.clone(),
            statuses: c.statuses.iter().map(status).collect(),
            page_size: c.page_size,
            filter: c.filter.clone(),
            ..Executions::default()
        });
        let mut ids = Vec::new();
        while let Some(execution) = executions.next().await {
            ids.push(execution?.id);
        }
        Ok(json!({"ids": ids}))
    }

    async fn signal(&self, c: &Command) -> Answer {
        let change = self.handle(c)?.signal(&c.name, &given(c.payload.as_ref()));
        let change =
            if c.request_id.is_empty() { change } else { change.request_id(&c.request_id) };
        Ok(json!({"sequence": change.await?}))
    }

    async fn control(&self, c: &Command) -> Answer {
        let (handle, reason) = (self.handle(c)?, &c.reason);
        match c.action.as_str() {
            "cancel" => handle.cancel().reason(reason).await?,
            "terminate" => handle.terminate().reason(reason).await?,
            "pause" => handle.pause().reason(reason).await?,
            "resume" => handle.resume().reason(reason).await?,
            other => return Err(usage(format!("there is no action {other}"))),
        };
        Ok(json!({}))
    }

    async fn put(&self, c: &Command) -> Answer {
        let stored = self.client(c)?.store(&given(c.value.as_ref())).await?;
        Ok(json!({"digest": stored.digest(), "size": stored.size()}))
    }

    async fn get(&self, c: &Command) -> Answer {
        let stored = flowmesh::Value::stored(&c.digest);
        Ok(json!({"value": self.client(c)?.fetch::<Value>(&stored).await?}))
    }

    async fn serve(&self, c: &Command) -> Answer {
        let client = self.client(c)?;
        let ledger = Ledger::new(client.clone());
        let queues = c.queues.clone();
        let mut worker = Worker::new(&client).queues(queues).labels(c.labels.clone());
        if let Some(slots) = c.slots {
            worker = worker.slots(slots);
        }
        if !c.worker_id.is_empty() {
            worker = worker.id(&c.worker_id);
        }
        if let Some(limit) = c.drain_ms {
            worker = worker.drain_for(Duration::from_millis(limit));
        }
        for (task_type, behavior) in &c.tasks {
            let (ledger, behavior) = (ledger.clone(), behavior.clone());
            worker = worker.task(task_type, move |input: Value, context: Context| {
                ledger.clone().handle(behavior.clone(), input, context)
            });
        }
        let running = Arc::new(worker.start().await?);
        self.objects().workers.insert(named(&c.worker), (running, ledger));
        Ok(json!({}))
    }

    async fn submit(&self, c: &Command) -> Answer {
        let session = of(&self.objects().sessions, &c.session)?;
        let results = c.results.unwrap_or(true);
        let count = c.inputs.as_ref().map_or(c.count, Vec::len);
        let one = |n: usize| {
            let input = match &c.inputs {
                Some(inputs) => given(inputs.get(n)),
                None => given(Some(&json!({"n": n}))),
            };
            let mut start = session.start(&c.workflow, &input);
            if let Some(id) = c.request_ids.as_ref().and_then(|ids| ids.get(n)) {
                start = start.request_id(id);
            }
            async move {
                let start = if results { start } else { start.without_result() };
                let call = match start.await {
                    Ok(call) => call,
                    Err(error) => return (Value::Null, Value::Null, values::error(&error.into())),
                };
                let id = match call.started().await {
                    Ok(id) => json!(id),
                    Err(error) => return (Value::Null, Value::Null, values::error(&error.into())),
                };
                match results {
                    false => (id, Value::Null, Value::Null),
                    true => match call.result().await {
                        Ok(output) => (id, output, Value::Null),
                        Err(error) => (id, Value::Null, values::error(&error.into())),
                    },
                }
            }
        };
        let (mut ids, mut outputs, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for (id, output, error) in future::join_all((0..count).map(one)).await {
            ids.push(id);
            outputs.push(output);
            errors.push(error);
        }
        Ok(json!({"ids": ids, "outputs": outputs, "errors": errors}))
    }

    async fn answer(&self, c: &Command) -> Answer {
        let delay = Duration::from_millis(c.delay_ms);
        match c.verb.as_str() {
            "hello" => Ok(json!({"language": "rust", "features": ["resolver", "tracing"]})),
            "open" => self.open(c).await,
            "close" | "drain" => self.close(c).await,
            "reset" => self.reset().await,
            "leaks" => self.leaks().await,
            "apply" => self.apply(c).await,
            "start" => self.start(c).await,
            "run" => self.run(c).await,
            "wait" => {
                let output: Value = self.handle(c)?.result_within(c.limit()).await?;
                Ok(json!({"output": output}))
            }
            "describe" => Ok(values::execution(&self.handle(c)?.describe().await?)),
            "outputs" => {
                let outputs = self.handle(c)?.outputs().await?;
                Ok(json!({"outputs": values::values(&outputs)}))
            }
            "events" => {
                let events = self.handle(c)?.events().after(c.after).types(c.types.clone());
                values::events(events.boxed(), &[], delay).await
            }
            "history" => values::events(self.handle(c)?.history(c.after), &c.types, delay).await,
            "list" => self.list(c).await,
            "signal" => self.signal(c).await,
            "control" => self.control(c).await,
            "put" => self.put(c).await,
            "get" => self.get(c).await,
            "abandon" => {
                let limit = Duration::from_millis(c.after_ms);
                let left = match c.digest.is_empty() {
                    true => tokio::time::timeout(limit, self.put(c)).await.is_err(),
                    false => tokio::time::timeout(limit, self.get(c)).await.is_err(),
                };
                Ok(json!({"left": left}))
            }
            "serve" => self.serve(c).await,
            "ledger" => Ok(of(&self.objects().workers, &c.worker)?.1.summary()),
            "session" => {
                let session = self.client(c)?.session();
                self.objects().sessions.insert(named(&c.session), session);
                Ok(json!({}))
            }
            "submit" => self.submit(c).await,
            "service" => self.service(c).await,
            "bench" => self.bench(c).await,
            other => Err(usage(format!("there is no verb {other}"))),
        }
    }
}

#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let driver = Arc::new(Driver { objects: Mutex::default() });
    let (sender, mut lines) = mpsc::unbounded_channel::<String>();
    let writing = tokio::spawn(async move {
        let mut output = tokio::io::stdout();
        while let Some(line) = lines.recv().await {
            let written = output.write_all(line.as_bytes()).await;
            if written.is_err() || output.flush().await.is_err() {
                return;
            }
        }
    });
    let mut input = BufReader::new(tokio::io::stdin());
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line).await.is_ok_and(|count| count > 0) {
        let (driver, sender, text) = (driver.clone(), sender.clone(), std::mem::take(&mut line));
        tokio::spawn(async move {
            // The writer ends with the driver.
            let _ = sender.send(answered(&driver, &text).await);
        });
    }
    let _ = driver.reset().await;
    drop(sender);
    let _ = writing.await;
}

async fn answered(driver: &Driver, line: &[u8]) -> String {
    let (id, answer) = match serde_json::from_slice::<Command>(line) {
        Ok(command) => (command.id, driver.answer(&command).await),
        Err(error) => (0, Err(usage(error.to_string()))),
    };
    let answer = match answer {
        Ok(value) => json!({"id": id, "value": values::shortened(value)}),
        Err(wrong) => json!({"id": id, "error": values::error(&wrong)}),
    };
    format!("{answer}\n")
}
