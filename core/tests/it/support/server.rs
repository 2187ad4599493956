use std::{net::SocketAddr, path::Path};

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tiny_forge::{
    app::App,
    config::{Config, ServeArgs},
    events::Bus,
    plugin_host::ForgetAfter,
};

use super::{data_plane::DataPlane, sse::Sse};

/// This process is a test: plugins are compiled, and ports held, by the real program.
const PROGRAM: &str = env!("CARGO_BIN_EXE_tiny-forge");

/// A server in this process, with a directory of its own.
pub struct Server {
    /// Before the folder that it is in.
    data_plane: DataPlane,
    pub dir: TempDir,
    pub http: Client,
    app: App,
    args: ServeArgs,
}

impl Server {
    /// A server whose engine does not exist.
    pub async fn start() -> Self {
        Self::configured(|_, _| {}).await
    }

    pub async fn with_engine(engine: &str) -> Self {
        Self::configured(|_, args| args.engine = Some(engine.into())).await
    }

    /// `change` gets the directory that this server lives in.
    pub async fn configured(change: impl FnOnce(&Path, &mut ServeArgs)) -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let mut args = args(dir.path());
        change(dir.path(), &mut args);
        Self::run(dir, args, |_| {}).await
    }

    /// What no file names is forgotten so soon.
    pub async fn forgetting_after(forget_after: ForgetAfter) -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let args = args(dir.path());
        Self::run(dir, args, |config| config.forget_after = forget_after).await
    }

    /// `compiler` gets the directory that this server lives in, and says which
    /// program compiles its plugins.
    pub async fn compiling_with(compiler: impl FnOnce(&Path) -> String) -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let compiler = compiler(dir.path());
        let args = args(dir.path());
        Self::run(dir, args, |config| config.compiler = compiler.into()).await
    }

    async fn run(dir: TempDir, args: ServeArgs, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::load(&args).expect("a valid configuration");
        config.compiler = PROGRAM.into();
        config.program = PROGRAM.into();
        change(&mut config);
        let config_data = config.data.clone();
        let app = App::start(config).await.expect("a server");
        let http = Client::builder().no_proxy().build().expect("a client");
        Self {
            data_plane: DataPlane::of(&config_data),
            dir,
            http,
            app,
            args,
        }
    }

    /// Ends in order and starts again on the same data.
    pub async fn restart(self) -> Self {
        let Self {
            data_plane,
            dir,
            app,
            args,
            http: _,
        } = self;
        // It goes on meanwhile.
        data_plane.keep();
        app.shutdown().await;
        Self::run(dir, args, |_| {}).await
    }

    pub async fn stop(self) {
        self.app.shutdown().await;
    }

    /// What is left of it is there as long as the answer is.
    pub async fn stop_and_keep(self) -> TempDir {
        self.app.shutdown().await;
        self.dir
    }

    pub fn bus(&self) -> &Bus {
        self.app.bus()
    }

    pub fn address(&self) -> SocketAddr {
        self.app.address()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.http
            .get(self.url(path))
            .header("accept", "application/json")
    }

    pub async fn json(&self, path: &str) -> Value {
        let response = self.get(path).send().await.expect("an answer");
        let status = response.status();
        let body = response.text().await.expect("a body");
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    /// The streams that are open.
    pub async fn subscriptions(&self) -> Vec<Value> {
        let list = self.json("/api/subscriptions").await;
        list["items"].as_array().expect("items").clone()
    }

    /// Sends JSON; the status and the JSON of the answer.
    pub async fn send(&self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = self.http.request(method, self.url(path)).json(body);
        let response = request.send().await.expect("an answer");
        let status = response.status();
        let text = response.text().await.expect("a body");
        let value = if text.is_empty() {
            Ok(Value::Null)
        } else {
            serde_json::from_str(&text)
        };
        (status, value.expect("JSON"))
    }

    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        self.send(Method::POST, path, body).await
    }

    pub async fn sse(&self, path: &str) -> Sse {
        Sse::open(&self.http, &self.url(path), None).await
    }
}

fn args(dir: &Path) -> ServeArgs {
    ServeArgs {
        listen: Some("127.0.0.1:0".into()),
        data: Some(text(&dir.join("data"))),
        plugins: Some(text(&dir.join("plugins"))),
        engine: Some("unix:///nonexistent/docker.sock".into()),
        ..ServeArgs::default()
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}
