//! What is held, in words.

use std::{collections::BTreeMap, path::Path};

use tiny_forge_proxy::{Client, Route, RouteStatus};

use super::backup::megabytes;
use crate::routing::{CaddyHome, FOLDER};

/// A server that ends leaves ports and domains as they are.
pub(super) async fn say_what_is_held(data: &Path) {
    let client = Client::new(&data.join(FOLDER));
    let Ok(routes) = client.routes().await else {
        return;
    };
    let held = routes.iter().filter(|it| it.route.is_some());
    let ports = held.map(|it| it.listen.to_string());
    let caddy = CaddyHome::new(data);
    let sites = if caddy.runs().await {
        caddy.sites()
    } else {
        BTreeMap::new()
    };
    let domains = sites.into_values().flatten().map(|site| site.domain);
    let held: Vec<String> = ports.chain(domains).collect();
    if !held.is_empty() {
        let held = held.join(", ");
        eprintln!("still held: {held}; `tiny-forge proxy stop --force` lets go of it");
    }
}

/// Ports, who uses them, and domains.
pub(super) async fn status(client: &Client, caddy: &CaddyHome) -> anyhow::Result<()> {
    let hello = client.hello().await?;
    println!("version {}, process {}", hello.program, hello.pid);
    let routes = client.routes().await?;
    if routes.is_empty() {
        println!("it holds no port");
    }
    for route in &routes {
        print_route(route);
    }
    print_domains(caddy).await;
    Ok(())
}

async fn print_domains(caddy: &CaddyHome) {
    let sites = caddy.sites();
    for (lane, site) in sites.iter().flat_map(|(lane, sites)| {
        let sites = sites.iter();
        sites.map(move |site| (lane, site))
    }) {
        println!("https://{} → 127.0.0.1:{} ({lane})", site.domain, site.port);
    }
    if !sites.is_empty() && !caddy.runs().await {
        println!("  Caddy, which serves them, does not run");
    }
}

fn print_route(status: &RouteStatus) {
    match &status.route {
        Some(Route { upstream, lane, .. }) => {
            println!("{} → {upstream} ({lane})", status.listen);
        }
        None => println!("{} → given up", status.listen),
    }
    if let Some(problem) = &status.problem {
        println!("  it does not listen: {problem}");
    }
    if status.waiting > 0 {
        println!("  {} wait: nobody listens there", status.waiting);
    }
    for upstream in &status.upstreams {
        println!(
            "  {}: {} open, {} idle; {} in, {} out",
            upstream.upstream,
            upstream.open,
            upstream.idle,
            megabytes(upstream.bytes_to_upstream),
            megabytes(upstream.bytes_to_client)
        );
    }
}
