//! A saga: it charges a card, waits for a signal, fails to ship, and refunds the card.

use flowmesh::worker::{Context, Worker};
use flowmesh::{Client, Error, TaskError};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

const WORKFLOW: &str = r#"
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: order}
spec:
  tasks:
    - id: charge
      taskRef: charge-card
      input: {amount: "{{input.amount}}"}
      undo: {taskRef: refund-card, input: {amount: "{{undo.output.charged}}"}}
    - {id: approval, wait: {event: approved}, dependsOn: [charge]}
    - {id: ship, taskRef: ship-order, dependsOn: [approval]}
---
{apiVersion: workflow.io/v1, kind: WorkflowTask, metadata: {name: charge-card}, spec: {type: charge-card}}
---
{apiVersion: workflow.io/v1, kind: WorkflowTask, metadata: {name: refund-card}, spec: {type: refund-card}}
---
{apiVersion: workflow.io/v1, kind: WorkflowTask, metadata: {name: ship-order}, spec: {type: ship-order}}
"#;

#[derive(Deserialize, Serialize)]
struct Payment {
    amount: u32,
}

async fn charge(payment: Payment, _: Context) -> Result<Value, TaskError> {
    println!("charged {}", payment.amount);
    Ok(json!({"charged": payment.amount}))
}

async fn refund(payment: Payment, _: Context) -> Result<(), TaskError> {
    println!("refunded {}", payment.amount);
    Ok(())
}

async fn ship(_: Value, _: Context) -> Result<(), TaskError> {
    Err(TaskError::new("OutOfStock", "no item left"))
}

#[tokio::main]
async fn main() -> flowmesh::Result<()> {
    let client = Client::connect("").await?;
    let worker = Worker::new(&client)
        .task("charge-card", charge)
        .task("refund-card", refund)
        .task("ship-order", ship)
        .start()
        .await?;
    client.apply(WORKFLOW).await?;
    let order = client.start("order", &Payment { amount: 30 }).await?;
    let mut events = order.events().types(["TaskCompleted"]);
    while let Some(event) = events.next().await {
        if event?.node == "charge" {
            println!("waiting for the approval");
            break;
        }
    }
    order.signal("approved", &json!({"by": "Grace"})).await?;
    match order.result::<Value>().await {
        Err(Error::ExecutionFailed { status, failure: Some(failure), .. }) => {
            println!("{status}: {}", failure.class);
        }
        other => println!("the order did not fail: {other:?}"),
    }
    worker.stop().await;
    Ok(())
}
