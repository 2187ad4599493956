//! The whole in a minute, offline: a release that is well, then one that is
//! ill, and the first still serves.

use anyhow::bail;
use clap::Args;
use reqwest::Method;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{
    Outcome,
    client::{Client, ClientError},
    deploy::{follow_deploy, start_deploy},
};
use crate::{
    api::NewDeploy,
    deploys::IfBusy,
    engine::{Connection, Engine, EngineState},
    model::{
        Deploy, DeployId, DockerHealth, EnvEntry, Project, ProjectName, PullPolicy, Spec, StageName,
    },
};

/// A static program, built with this one: see `examples/demo`.
const APP: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/demo-app"));
const IMAGE: &str = "tiny-forge-demo";

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Project to make, or to use again
    #[arg(long, default_value = "demo")]
    project: ProjectName,
}

/// What the server says of its engine.
#[derive(Deserialize)]
struct Status {
    engine: Connection,
}

#[derive(Clone, Copy)]
enum Release {
    Well,
    Ill,
}

pub(super) async fn run(client: &Client, args: DemoArgs) -> anyhow::Result<Outcome> {
    let project = args.project;
    let image = make_image(&connect(client).await?).await?;
    println!("image {image}: one static program, made here and pushed nowhere");
    use_project(client, &project, &spec(&image, Release::Well)).await?;
    println!("project {}/projects/{project}\n", client.server());

    println!("First, a release that is well:");
    let (good, outcome) = deploy(client, &project, &spec(&image, Release::Well)).await?;
    if outcome != Outcome::Done {
        return Ok(outcome);
    }
    println!("\nThen, a release that never gets healthy:");
    let (ill, outcome) = deploy(client, &project, &spec(&image, Release::Ill)).await?;
    // What the next deploy runs is well again.
    use_project(client, &project, &spec(&image, Release::Well)).await?;
    if outcome == Outcome::Done || !serves(client, &project, &good).await? {
        bail!("the demo went wrong: the ill release should have failed, and the first one serve");
    }
    explain(client, &project, &good, &ill);
    Ok(Outcome::Done)
}

/// The engine that the server works with.
async fn connect(client: &Client) -> anyhow::Result<Engine> {
    let Status { engine: known } = client.get("/api/status").await?;
    if known.state != EngineState::Connected {
        let reason = known.error.unwrap_or_else(|| "not connected yet".into());
        bail!("the server has no Docker engine: {reason}");
    }
    let engine = Engine::new(&known.endpoint);
    engine.connect().await?;
    Ok(engine)
}

/// An image of nothing but the app. Its tag is its content, so that a second
/// demo finds it.
async fn make_image(engine: &Engine) -> anyhow::Result<String> {
    if APP.is_empty() {
        bail!(
            "this build of tiny-forge has no demo: build it where the C library can be linked \
             statically (Debian: libc6-dev, Fedora: glibc-static)"
        );
    }
    let tag = hex::encode(&Sha256::digest(APP)[..6]);
    let image = format!("{IMAGE}:{tag}");
    if engine.image(&image).await?.is_none() {
        let changes = vec![
            "ENTRYPOINT [\"/demo\"]".to_owned(),
            "EXPOSE 8080".to_owned(),
        ];
        engine
            .import_image(IMAGE, &tag, archive()?, changes)
            .await?;
    }
    Ok(image)
}

fn archive() -> std::io::Result<Vec<u8>> {
    let mut header = tar::Header::new_gnu();
    header.set_size(APP.len() as u64);
    header.set_mode(0o755);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, "demo", APP)?;
    archive.into_inner()
}

fn spec(image: &str, release: Release) -> Spec {
    let plain = |name: &str, value: &str| EnvEntry {
        name: name.into(),
        value: Some(value.into()),
        secret: false,
    };
    let mut spec = Spec::for_image(image);
    spec.env = match release {
        Release::Well => vec![plain("RELEASE", "one")],
        Release::Ill => vec![plain("RELEASE", "two"), plain("ILL", "yes")],
    };
    spec.pull = PullPolicy::Never;
    // Long enough to be seen in a demo.
    spec.bake_ms = 2_000;
    spec.health.docker = Some(DockerHealth {
        test: ["CMD", "/demo", "check"].map(str::to_owned).to_vec(),
        interval_ms: 1_000,
        timeout_ms: 10_000,
        retries: 3,
        start_period_ms: 4_000,
    });
    spec
}

/// Makes the project, or gives it this specification if it is a demo's.
async fn use_project(client: &Client, project: &ProjectName, spec: &Spec) -> anyhow::Result<()> {
    let path = format!("/api/projects/{project}");
    let found: Project = match client.get(&path).await {
        Ok(found) => found,
        Err(ClientError::Refused { status: 404, .. }) => {
            let new = serde_json::json!({"name": project, "spec": spec});
            client
                .write::<Project>(Method::POST, "/api/projects", &new)
                .await?;
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let mut images = found.stages.iter().map(|stage| &stage.spec.image);
    if let Some(image) = images.find(|image| !image.starts_with(IMAGE)) {
        bail!(
            "project `{project}` is not a demo's, it runs `{image}`: choose another name with --project"
        );
    }
    set_spec(client, project, spec).await
}

async fn set_spec(client: &Client, project: &ProjectName, spec: &Spec) -> anyhow::Result<()> {
    let path = format!("/api/projects/{project}/stages/{}", StageName::default());
    let body = serde_json::json!({ "spec": spec });
    client.write::<Project>(Method::PUT, &path, &body).await?;
    Ok(())
}

async fn deploy(
    client: &Client,
    project: &ProjectName,
    spec: &Spec,
) -> anyhow::Result<(Deploy, Outcome)> {
    set_spec(client, project, spec).await?;
    let body = NewDeploy {
        stage: StageName::default(),
        image: None,
        if_busy: IfBusy::default(),
    };
    let deploy = start_deploy(client, project, &body).await?;
    let outcome = follow_deploy(client, &deploy).await?;
    Ok((deploy, outcome))
}

/// Whether what this deploy brought is what serves now.
async fn serves(client: &Client, project: &ProjectName, deploy: &Deploy) -> anyhow::Result<bool> {
    let found: Project = client.get(&format!("/api/projects/{project}")).await?;
    let mut generations = found.stages.iter().map(|stage| stage.generation);
    Ok(generations.any(|generation| generation == Some(deploy.summary.generation)))
}

fn explain(client: &Client, project: &ProjectName, good: &Deploy, ill: &Deploy) {
    let server = client.server();
    let page = |id: DeployId| format!("{server}/deploys/{id}");
    println!(
        "
The first release served only once its health check said healthy, and every step, log line and
state of its container went over one bus to this terminal and to the page. The second never got
healthy, so it was stopped, its reason kept with its last words, and the first one still serves.

  project            {server}/projects/{project}
  the good deploy    {}
  the failed deploy  {}",
        page(good.summary.id),
        page(ill.summary.id)
    );
}
