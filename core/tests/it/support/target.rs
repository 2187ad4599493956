use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::IntoResponse,
};
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use super::sse::PATIENCE;

/// A web service that plugins send to: takes everything, remembers it, and
/// answers as it is told.
pub struct Target {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Ends with the test.
    _serving: JoinSet<()>,
}

struct Shared {
    requests: Mutex<Vec<Received>>,
    count: watch::Sender<usize>,
    /// Used up one by one; then 200.
    answers: Mutex<VecDeque<Answer>>,
    echoes: AtomicBool,
}

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// When it arrived.
    pub at: Instant,
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    /// How long it takes.
    pub after: Duration,
}

impl Answer {
    pub fn new(status: u16, body: &str) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.to_owned(),
            after: Duration::ZERO,
        }
    }

    /// As Slack says it when somebody posts too fast.
    pub fn slack_rate_limited(seconds: u32) -> Self {
        Self {
            headers: vec![("retry-after", seconds.to_string())],
            ..Self::new(
                429,
                &format!(r#"{{"retry_after":{seconds},"ok":false,"error":"rate_limited"}}"#),
            )
        }
    }
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).expect("the header is there");
        value.to_str().expect("text")
    }
}

impl Target {
    pub async fn start() -> Self {
        let shared = Arc::new(Shared {
            requests: Mutex::default(),
            count: watch::Sender::new(0),
            answers: Mutex::default(),
            echoes: AtomicBool::new(false),
        });
        let router = Router::new().fallback(receive).with_state(shared.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self {
            address,
            shared,
            _serving: serving,
        }
    }

    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn answer_next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared
            .answers
            .lock()
            .expect("no test panicked")
            .extend(answers);
    }

    /// From now on it takes everything, whatever it was told to answer.
    pub fn recover(&self) {
        let mut answers = self.shared.answers.lock().expect("no test panicked");
        answers.clear();
    }

    /// From now on it refuses everything, and repeats what it was sent.
    pub fn echo(&self) {
        self.shared.echoes.store(true, Ordering::SeqCst);
    }

    pub fn requests(&self) -> Vec<Received> {
        self.shared
            .requests
            .lock()
            .expect("no test panicked")
            .clone()
    }

    /// The same as [`Self::received`], for who does not look at them.
    pub async fn counts(&self, count: usize) {
        let mut arrived = self.shared.count.subscribe();
        let enough = arrived.wait_for(|arrived| *arrived >= count);
        let enough = tokio::time::timeout(PATIENCE, enough).await;
        enough.expect("in time").expect("the target lives");
    }

    /// Waits until `count` requests have arrived.
    pub async fn received(&self, count: usize) -> Vec<Received> {
        self.until(|requests| requests.len() >= count).await
    }

    /// Waits until the requests are as `wanted` says.
    pub async fn until(&self, wanted: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let mut arrived = self.shared.count.subscribe();
        let search = async {
            loop {
                arrived.borrow_and_update();
                {
                    let requests = self.shared.requests.lock().expect("no test panicked");
                    if wanted(&requests) {
                        return requests.clone();
                    }
                }
                arrived.changed().await.expect("the target lives");
            }
        };
        let found = tokio::time::timeout(PATIENCE, search).await;
        found.unwrap_or_else(|_| {
            let requests = self.requests();
            panic!("after {} requests: {:?}", requests.len(), requests.last())
        })
    }
}

async fn receive(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> impl IntoResponse {
    let request = Received {
        at: Instant::now(),
        path: uri.to_string(),
        headers,
        body,
    };
    let echo = Answer::new(400, &format!("you sent {request:?}"));
    let usual = if shared.echoes.load(Ordering::SeqCst) {
        echo
    } else {
        Answer::new(200, "ok")
    };
    let count = {
        let mut requests = shared.requests.lock().expect("no test panicked");
        requests.push(request);
        requests.len()
    };
    shared.count.send_replace(count);
    let told = shared.answers.lock().expect("no test panicked").pop_front();
    let answer = told.unwrap_or(usual);
    tokio::time::sleep(answer.after).await;
    let status = StatusCode::from_u16(answer.status).expect("a status");
    let mut response = (status, answer.body).into_response();
    for (name, value) in answer.headers {
        response
            .headers_mut()
            .insert(name, value.parse().expect("a header's value"));
    }
    response
}
