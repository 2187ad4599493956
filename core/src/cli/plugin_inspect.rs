use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::Outcome;
use crate::plugin_host::{Inspected, inspect};

#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// The .wasm to look at
    file: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: InspectArgs) -> anyhow::Result<Outcome> {
    let file = args.file.display();
    let wasm = std::fs::read(&args.file).with_context(|| format!("`{file}` cannot be read"))?;
    let name = args.file.file_name().unwrap_or_default().to_string_lossy();
    let program = std::env::current_exe().context("our own binary cannot be found")?;
    let inspected = inspect(program, &name, &wasm)
        .await
        .with_context(|| format!("`{file}` is no plugin that this version can use"))?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&inspected)?);
    } else {
        print(&inspected);
    }
    Ok(Outcome::Done)
}

fn print(inspected: &Inspected) {
    println!(
        "{} {}: {}",
        inspected.name,
        inspected.version,
        inspected.role.as_str()
    );
    println!("{}", inspected.description);
    println!("\ncontract {}", inspected.contract);
    println!("sha256   {}", inspected.digest);
    println!("size     {} bytes", inspected.size_bytes);
    println!("http     {}", or_none(&inspected.asked.http));
    println!("secrets  {}", or_none(&inspected.asked.secrets));
    println!(
        "store    {}",
        if inspected.asked.store { "yes" } else { "no" }
    );
    println!("\nConfiguration:");
    for setting in settings(&inspected.config_schema) {
        println!("  {setting}");
    }
    println!("\nTo use it, put it into the plugins folder, and beside it a .toml with:\n");
    println!("{}", inspected.suggested_toml);
}

fn or_none(list: &[String]) -> String {
    if list.is_empty() {
        return "none".to_owned();
    }
    list.join(", ")
}

/// One line for each property of the schema.
fn settings(schema: &serde_json::Value) -> Vec<String> {
    let required = schema["required"].as_array();
    let is_required = |key: &str| {
        required.is_some_and(|keys| keys.iter().any(|known| known.as_str() == Some(key)))
    };
    let Some(properties) = schema["properties"]
        .as_object()
        .filter(|all| !all.is_empty())
    else {
        return vec!["nothing to set".to_owned()];
    };
    let line = |(key, property): (&String, &serde_json::Value)| {
        let mark = if is_required(key) { " (required)" } else { "" };
        let about = property["description"].as_str().unwrap_or("");
        format!("{key}{mark}  {about}")
    };
    properties.iter().map(line).collect()
}
