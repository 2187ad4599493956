//! The examples and first-party plugins, in the real host.

use serde_json::json;

use super::{Host, publish};
use crate::support::folder::{put, put_built};

/// All examples in one pipeline; at night, whenever that is now, only what is
/// at least a warning gets through.
fn all_examples(host: &Host, night: (&str, &str)) -> String {
    let origin = host.target.origin();
    let (from, to) = night;
    format!(
        "[plugin.quiet]\nfile = \"quiet-hours.wasm\"\n\
         config = {{ from = \"{from}\", to = \"{to}\", except = \"warning\" }}\n\
         [plugin.team]\nfile = \"team.wasm\"\nconfig.owners.shop = \"checkout\"\n\
         [plugin.ntfy]\nfile = \"ntfy.wasm\"\n\
         config = {{ topic = \"deploys\", server = \"{origin}\" }}\n\
         grants.http = [\"{origin}\"]\ngrants.networks = [\"127.0.0.1/32\"]\n\
         [pipeline.all]\nwhen.type = \"project_status\"\n\
         steps = [\"quiet\", \"team\"]\nsinks = [\"ntfy\"]\n"
    )
}

#[tokio::test]
async fn the_examples_filter_enrich_and_send() {
    let mut host = Host::start().await;
    for plugin in ["quiet-hours", "team", "ntfy"] {
        put_built(&host.folder(), plugin, &format!("{plugin}.wasm"));
    }
    put(
        &host.folder(),
        "all.toml",
        all_examples(&host, ("00:00", "23:59")),
    );
    host.pipeline(|all| all["state"] == "running").await;
    publish(&host.server, "night").await;
    let quiet = host.pipeline(|all| all["dropped"] == 1).await;
    assert_eq!(quiet["recent_drops"][0]["plugin"], "quiet");

    put(
        &host.folder(),
        "all.toml",
        all_examples(&host, ("00:00", "00:00")),
    );
    host.plugin_is("quiet", "running").await;
    host.plugin_is("quiet", "running").await;
    publish(&host.server, "shop").await;
    let sent = host.target.received(1).await[0].json();
    assert_eq!(sent["topic"], "deploys");
    assert!(
        sent["message"]
            .as_str()
            .is_some_and(|text| text.contains("shop/prod: project_status")),
        "{sent}"
    );
    host.server.stop().await;
}

#[tokio::test]
async fn a_rule_drops_with_its_reason_and_a_signed_webhook_can_be_checked() {
    let host = Host::start().await;
    let origin = host.target.origin();
    let secret = host.server.dir.path().join("webhook-secret");
    std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").expect("written");
    let toml = format!(
        "[plugin.rules]\nfile = \"builtin:rules\"\n\
         config.rules = [{{ drop_if = 'payload.project == \"draft\"', reason = \"no drafts\" }}]\n\
         [plugin.hook]\nfile = \"builtin:webhook\"\nconfig.url = \"{origin}/hook\"\n\
         secrets.WEBHOOK_SECRET = \"file:{}\"\n\
         grants.http = [\"{origin}\"]\ngrants.networks = [\"127.0.0.1/32\"]\n\
         [pipeline.all]\nwhen.type = \"project_status\"\nsteps = [\"rules\"]\nsinks = [\"hook\"]\n",
        secret.display()
    );
    put(&host.folder(), "all.toml", toml);
    host.pipeline(|all| all["state"] == "running").await;
    publish(&host.server, "draft").await;
    publish(&host.server, "shop").await;
    let requests = host.target.received(1).await;
    assert_eq!(super::projects_told(&requests), ["shop"]);
    let dropped = host.pipeline(|all| all["dropped"] == 1).await;
    let reason = &dropped["recent_drops"][0]["reason"];
    assert_eq!(*reason, json!("no drafts"));
    assert_eq!(
        requests[0].header("webhook-signature"),
        signature(&requests[0])
    );
    host.server.stop().await;
}

/// As Standard Webhooks 1.0 says: HMAC-SHA256 of `id.timestamp.body`.
fn signature(request: &crate::support::target::Received) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use hmac::{Hmac, Mac};
    let key = STANDARD
        .decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        .expect("base64");
    let mut mac = <Hmac<sha2::Sha256> as Mac>::new_from_slice(&key).expect("any length");
    let (id, at) = (
        request.header("webhook-id"),
        request.header("webhook-timestamp"),
    );
    mac.update(format!("{id}.{at}.{}", request.body).as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}
