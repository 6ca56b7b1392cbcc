//! The events of an execution, to the terminal.

use flowmesh::Client;
use futures_util::StreamExt;

const WORKFLOW: &str = r#"
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: watched}
spec: {tasks: [{id: first, taskRef: noop}, {id: second, taskRef: noop, dependsOn: [first]}]}
"#;

#[tokio::main]
async fn main() -> flowmesh::Result<()> {
    let client = Client::connect("").await?;
    client.apply(WORKFLOW).await?;
    let handle = client.start("watched", &()).await?;
    let mut events = handle.events().types(["WorkflowStarted", "TaskCompleted"]);
    while let Some(event) = events.next().await {
        let event = event?;
        println!("{}", format!("{} {}", event.kind, event.node).trim_end());
    }
    Ok(())
}
