//! A task that computes for a while: off the threads of tokio, with heartbeats. It ends early if
//! it is canceled.

use flowmesh::worker::{Context, Worker};
use flowmesh::{Client, TaskError};
use serde_json::json;

const WORKFLOW: &str = r#"
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: count-primes}
spec:
  tasks: [{id: count, taskRef: count-primes, input: "{{input}}", timeout: 1m}]
  output: "{{tasks.count.output}}"
---
apiVersion: workflow.io/v1
kind: WorkflowTask
metadata: {name: count-primes}
spec: {type: count-primes}
"#;

fn count_primes(below: u32, task: &Context) -> Result<usize, TaskError> {
    let mut count = 0;
    for number in 2..below {
        if number % 10_000 == 0 {
            // An error means that the task is no longer wanted.
            task.heartbeat(&json!({"tested": number}))?;
        }
        count += usize::from((2..=number.isqrt()).all(|factor| number % factor != 0));
    }
    Ok(count)
}

async fn primes(below: u32, task: Context) -> Result<usize, TaskError> {
    tokio::task::spawn_blocking(move || count_primes(below, &task)).await?
}

#[tokio::main]
async fn main() -> flowmesh::Result<()> {
    let client = Client::connect("").await?;
    let worker = Worker::new(&client).slots(2).task("count-primes", primes).start().await?;
    client.apply(WORKFLOW).await?;
    println!("{} primes", client.run::<usize>("count-primes", &100_000).await?);
    worker.stop().await;
    Ok(())
}
