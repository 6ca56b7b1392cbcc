//! A workflow of one task, served and started by one program.
use flowmesh::worker::{Context, Worker};
use flowmesh::{Client, TaskError};

const WORKFLOW: &str = r#"
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: hello}
spec: {tasks: [{id: greet, taskRef: greet, input: "{{input}}"}], output: "{{tasks.greet.output}}"}
---
{apiVersion: workflow.io/v1, kind: WorkflowTask, metadata: {name: greet}, spec: {type: greet}}
"#;

async fn greet(name: String, _: Context) -> Result<String, TaskError> {
    Ok(format!("Hello {name}"))
}
#[tokio::main]
async fn main() -> flowmesh::Result<()> {
    let client = Client::connect("").await?;
    client.apply(WORKFLOW).await?;
    let worker = Worker::new(&client).task("greet", greet).start().await?;
    println!("{}", client.run::<String>("hello", "Ada").await?);
    worker.stop().await;
    Ok(())
}
