//! Private registries, asked with a name and password or for a token; and a canary in
//! whatever is secret of a project, which must show up nowhere.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    Json, Router,
    extract::{RawQuery, State},
    http::HeaderMap,
    routing::get,
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rcgen::{CertifiedKey, KeyPair, SigningKey};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

use crate::support::{
    bench::bench, binary::Binary, engine::Engine, image, program::Program, registry::Registry,
    shared::Shared, wait,
};

const USER: &str = "deployer";
const PASSWORD: &str = "registry-canary-7f3a";
/// Of that password, by bcrypt.
const HTPASSWD: &str = "deployer:$2b$04$YgM3r30TTiOMUh./HJgcoOUDL0QM2v.R3k0B8JEiqf0dxiM7YF5yS\n";
const LABEL: &str = "label-canary-5d1c";
const VARIABLE: &str = "variable-canary-91bc";

/// As `docker login` writes it.
fn log_in(folder: &Path, registry: &Registry) {
    let auth = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let config = json!({"auths": {registry.host(): {"auth": auth}}});
    fs::write(folder.join("config.json"), config.to_string()).expect("written");
}

/// An image that is in a private registry alone.
fn push(registry: &Registry, name: &str) -> String {
    let engine = &Shared::get().engine;
    let folder = tempfile::tempdir().expect("temporary directory");
    log_in(folder.path(), registry);
    let reference = registry.reference(name);
    image::busybox(engine, &reference, "echo up; sleep 600");
    label(engine, &reference);
    let config = folder.path().to_str().expect("UTF-8");
    engine.docker(&["--config", config, "push", &reference]);
    engine.docker(&["rmi", &reference]);
    reference
}

/// As careless builds do: with a token, and an address to clone from that has one in it.
fn label(engine: &Engine, reference: &str) {
    let name = format!("to-label-{}", reference.replace([':', '/', '.'], "-"));
    engine.docker(&["create", "--name", &name, reference]);
    let clone = format!("https://ci:{LABEL}@git.example/shop.git");
    let changes = [
        format!("LABEL com.example.build-token={LABEL}"),
        format!("LABEL com.example.clone={clone}"),
        format!("LABEL org.opencontainers.image.source={clone}"),
    ];
    let mut commit = vec!["commit"];
    for change in &changes {
        commit.extend(["--change", change]);
    }
    commit.extend([name.as_str(), reference]);
    engine.docker(&commit);
    engine.docker(&["rm", &name]);
}

fn with_passwords(dir: &Path) -> Registry {
    let path = dir.join("htpasswd");
    fs::write(&path, HTPASSWD).expect("written");
    let path = path.display();
    Registry::asking(&format!(
        "auth: {{ htpasswd: {{ realm: test, path: {path} }} }}"
    ))
}

/// The project is deployed; the deploy at its end.
async fn deploy(program: &Program, project: &str, spec: &Value) -> Value {
    let at = |path: &str| format!("{}{path}", program.address);
    let connected = wait::answer(async || {
        let status = program.json("/api/status").await;
        (status["engine"]["state"] == "connected").then_some(())
    });
    connected.await.expect("an engine");
    let body = json!({"name": project, "spec": spec});
    let made = program.http.post(at("/api/projects")).json(&body).send();
    let made = made.await.expect("an answer");
    assert_eq!(made.status(), StatusCode::CREATED);
    let start = at(&format!("/api/projects/{project}/deploys"));
    let started = program.http.post(start).json(&json!({})).send().await;
    let started: Value = started.expect("an answer").json().await.expect("JSON");
    let path = format!("/api/deploys/{}", started["id"]);
    let ended = wait::answer(async || {
        let deploy = program.json(&path).await;
        deploy["ended_at"].is_string().then_some(deploy)
    });
    ended.await.expect("an end in time")
}

fn spec(image: &str) -> Value {
    json!({"image": image, "health": {"min_uptime_ms": 100}, "bake_ms": 0, "stop_grace_ms": 1000})
}

#[tokio::test]
async fn a_private_registry_is_asked_as_the_project_says_or_as_docker_is_logged_in() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let registry = with_passwords(dir.path());
    asked_in_each_way(&registry, "htpasswd").await;
}

/// Pushing blocks a thread, and its token comes from this process.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_gives_out_tokens_is_asked_in_the_same_ways() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let tokens = Tokens::start().await;
    let registry = Registry::asking(&tokens.configure(dir.path()));
    asked_in_each_way(&registry, "token").await;
}

async fn asked_in_each_way(registry: &Registry, name: &str) {
    let image = push(registry, &format!("{name}:1"));
    let engine = Shared::get().engine.address();
    let data = tempfile::tempdir().expect("temporary directory");
    let folder = data.path().join("docker");
    fs::create_dir(&folder).expect("made");
    let nobody = Binary::new().with("DOCKER_CONFIG", folder.to_str().expect("UTF-8"));
    let program = Program::serve_as(data.path(), &engine, &nobody).await;
    let forget = || Shared::get().engine.try_docker(&["rmi", "--force", &image]);

    let refused = deploy(&program, &format!("{name}-nobody"), &spec(&image)).await;
    assert_eq!(refused["status"], "failed", "{refused}");
    let reason = refused["reason"].as_str().unwrap_or_default();
    assert!(
        reason.contains("`registry_auth`") && reason.contains("docker login"),
        "{reason}"
    );

    let mut own = spec(&image);
    own["registry_auth"] = json!({"username": USER, "password": PASSWORD});
    let deployed = deploy(&program, &format!("{name}-own"), &own).await;
    assert_eq!(deployed["status"], "succeeded", "{deployed}");
    assert_eq!(deployed["spec"]["registry_auth"], json!({"username": USER}));

    log_in(&folder, registry);
    forget();
    let deployed = deploy(&program, &format!("{name}-docker"), &spec(&image)).await;
    assert_eq!(deployed["status"], "succeeded", "{deployed}");
    program.signal(rustix::process::Signal::TERM);
    program.ended().await;
}

#[tokio::test]
async fn an_instance_is_of_the_very_image_that_its_name_stood_for() {
    let bench = bench().await;
    bench.project("pinned", |_| {}).await;
    let deploy = bench.deploy("pinned").await;
    let digest = deploy["digest"].as_str().expect("a digest");
    let name = bench.running("pinned");
    let of = bench
        .engine
        .docker(&["inspect", &name, "--format", "{{.Config.Image}}"]);
    assert_eq!(of, format!("{}@{digest}", bench.web));
    // People see the name, and the engine knows the image by it.
    let shown = wait::answer(async || {
        // A deploy may end before the watcher knows its instance.
        let project = bench.server.json("/api/projects/pinned").await;
        let image = &project["stages"][0]["instances"][0]["image"];
        Some(image.as_str()?.to_owned())
    });
    assert_eq!(shown.await.expect("it is known"), bench.web);
    let known = ["image", "inspect", &bench.web, "--format", "{{.Id}}"];
    assert_eq!(bench.engine.docker(&known), deploy["image_id"]);
    bench.server.stop().await;
}

#[tokio::test]
async fn what_is_secret_of_a_project_shows_up_nowhere() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let registry = with_passwords(dir.path());
    let image = push(&registry, "canary:1");
    let engine = Shared::get().engine.address();
    let data = tempfile::tempdir().expect("temporary directory");
    let program = Program::serve_as(data.path(), &engine, &Binary::new()).await;
    let mut loud = spec(&image);
    loud["registry_auth"] = json!({"username": USER, "password": PASSWORD});
    loud["env"] = json!([{"name": "KEY", "value": VARIABLE, "secret": true}]);
    loud["entrypoint"] = json!(["/bin/busybox"]);
    loud["command"] = json!(["sh", "-c", "echo it is $KEY; sleep 600"]);
    // Says it in the output of its health check too, and is ill of it.
    loud["health"] = json!({"docker": {"test": ["CMD-SHELL", "echo sick of $KEY; exit 1"],
        "interval_ms": 500, "retries": 1}});
    let deploy = deploy(&program, "canary", &loud).await;
    assert_eq!(deploy["status"], "failed", "{deploy}");
    assert!(deploy["failure"]["health_output"].is_string(), "{deploy}");
    let id = &deploy["id"];
    for path in [
        format!("/api/deploys/{id}"),
        format!("/api/deploys/{id}/logs"),
        format!("/api/deploys/{id}/logs.txt"),
        "/api/deploys".to_owned(),
        "/api/projects".to_owned(),
        "/api/projects/canary".to_owned(),
        "/api/instances".to_owned(),
        "/api/events?limit=500".to_owned(),
    ] {
        let url = format!("{}{path}", program.address);
        let answer = program.http.get(url).header("accept", "application/json");
        let answer = answer.send().await.expect("an answer");
        nowhere(&answer.bytes().await.expect("a body"), &path);
    }
    let url = format!(
        "{}/api/projects/canary/deploys?dry_run=true",
        program.address
    );
    let preview = program.http.post(url).json(&json!({})).send().await;
    let preview = preview.expect("an answer").bytes().await.expect("a body");
    nowhere(&preview, "the preview");
    program.signal(rustix::process::Signal::TERM);
    program.ended().await;
    for entry in walk(data.path()) {
        nowhere(
            &fs::read(&entry).expect("a file"),
            &entry.display().to_string(),
        );
    }
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let entries = entries.map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path]
            }
        })
        .filter(|path| path.is_file())
        .collect()
}

fn nowhere(bytes: &[u8], place: &str) {
    for canary in [
        PASSWORD.to_owned(),
        VARIABLE.to_owned(),
        LABEL.to_owned(),
        STANDARD.encode(PASSWORD),
    ] {
        let found = bytes
            .windows(canary.len())
            .any(|some| some == canary.as_bytes());
        assert!(
            !found,
            "{canary} in {place}: {}",
            String::from_utf8_lossy(bytes)
        );
    }
}

/// Gives tokens to whoever has the password, as registries of that kind want it.
struct Tokens {
    realm: String,
    certificate: String,
    _server: JoinSet<()>,
}

impl Tokens {
    async fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(["tokens".to_owned()]);
        let CertifiedKey { cert, signing_key } = made.expect("a certificate");
        let certificate = cert.pem();
        let issuer = Arc::new(Issuer {
            certificate: STANDARD.encode(cert.der()),
            key: signing_key,
        });
        let routes = Router::new().route("/token", get(token)).with_state(issuer);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, routes).await.expect("served") });
        Self {
            realm: format!("http://{address}/token"),
            certificate,
            _server: server,
        }
    }

    fn configure(&self, dir: &Path) -> String {
        let bundle = dir.join("tokens.pem");
        fs::write(&bundle, &self.certificate).expect("written");
        format!(
            "auth: {{ token: {{ realm: \"{}\", service: registry, issuer: issuer, rootcertbundle: {} }} }}",
            self.realm,
            bundle.display()
        )
    }
}

struct Issuer {
    certificate: String,
    key: KeyPair,
}

async fn token(
    State(issuer): State<Arc<Issuer>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Value>, StatusCode> {
    let wanted = format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
    let given = headers.get("authorization").and_then(|it| it.to_str().ok());
    if given != Some(&wanted) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let query = query.unwrap_or_default();
    let scopes = url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "scope");
    let access: Vec<Value> = scopes
        .filter_map(|(_, scope)| {
            let (kind, rest) = scope.split_once(':')?;
            let (name, actions) = rest.rsplit_once(':')?;
            let actions: Vec<&str> = actions.split(',').collect();
            Some(json!({"type": kind, "name": name, "actions": actions}))
        })
        .collect();
    let token = issuer.sign(&json!({"iss": "issuer", "sub": USER, "aud": "registry",
        "nbf": 0, "iat": 0, "exp": 4_000_000_000_u32, "jti": "1", "access": access}));
    Ok(Json(json!({ "token": token })))
}

impl Issuer {
    fn sign(&self, claims: &Value) -> String {
        let header = json!({"typ": "JWT", "alg": "ES256", "x5c": [self.certificate]});
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(claims));
        let signature = self.key.sign(signed.as_bytes()).expect("signed");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(raw(&signature)))
    }
}

/// A signature in ASN.1, `SEQUENCE { r INTEGER, s INTEGER }`, as 2 × 32 bytes.
fn raw(signature: &[u8]) -> Vec<u8> {
    let mut rest = &signature[2..];
    let mut raw = Vec::new();
    for _ in 0..2 {
        let length = usize::from(rest[1]);
        let (number, next) = rest[2..].split_at(length);
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        raw.extend(vec![0; 32 - number.len()]);
        raw.extend(number);
        rest = next;
    }
    raw
}
