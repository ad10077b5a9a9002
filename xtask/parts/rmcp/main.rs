//! The official client in Rust: calls tools and prints what comes back as JSON, one line each.
//!
//! Usage: rmcp-client '{"url" or "command": …, "calls": [[TOOL, ARGUMENTS], …]}'

use rmcp::ServiceExt as _;
use rmcp::model::CallToolRequestParams;
use rmcp::service::{RoleClient, RunningService};
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let asked: Value = serde_json::from_str(&std::env::args().nth(1).ok_or("what to call")?)?;
    let client = connect(&asked).await?;
    let tools = client.list_all_tools().await?;
    let names: Vec<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    let version = client.peer_info().map(|server| server.protocol_version.clone());
    println!("{}", json!({"version": version, "tools": names}));
    for call in asked["calls"].as_array().ok_or("no calls")? {
        let name = call[0].as_str().ok_or("no tool")?.to_owned();
        let arguments = call[1].as_object().cloned().ok_or("no arguments")?;
        let result = client.call_tool(CallToolRequestParams::new(name).with_arguments(arguments)).await?;
        let said = serde_json::to_value(result)?;
        let text = &said["content"][0]["text"];
        let error = said["isError"].as_bool().unwrap_or(false);
        println!("{}", json!({"error": error, "text": text, "structured": said["structuredContent"]}));
    }
    client.cancel().await?;
    Ok(())
}

async fn connect(asked: &Value) -> Result<RunningService<RoleClient, ()>, Failure> {
    if let Some(url) = asked["url"].as_str() {
        return Ok(().serve(StreamableHttpClientTransport::from_uri(url)).await?);
    }
    let words = asked["command"].as_array().ok_or("no command")?.iter().filter_map(Value::as_str);
    let words: Vec<_> = words.collect();
    let (program, words) = words.split_first().ok_or("no command")?;
    let mut command = tokio::process::Command::new(program);
    command.args(words);
    Ok(().serve(TokioChildProcess::new(command)?).await?)
}
