//! Snapshots over HTTP, and the streams that go on where they end.

use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng, SeedableRng, rngs::StdRng};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

use crate::support::{server::Server, sse::Sse};

const CLIENTS: u64 = 200;
const STEPS: usize = 400;
/// The last of all.
const LAST: &str = "last";

/// Projects and their stages, as a client has them in mind.
type Projects = BTreeMap<String, BTreeSet<String>>;

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

fn of_snapshot(list: &Value) -> Projects {
    let items = list["items"].as_array().expect("items").iter();
    let stages = |project: &Value| {
        let stages = project["stages"].as_array().expect("stages").iter();
        stages.map(|stage| text(&stage["stage"])).collect()
    };
    items
        .map(|project| (text(&project["name"]), stages(project)))
        .collect()
}

fn apply(projects: &mut Projects, event: &Value) {
    let payload = &event["payload"];
    match (event["type"].as_str(), payload["change"].as_str()) {
        (Some("project_status"), Some("deleted")) => {
            projects.remove(&text(&payload["project"]));
        }
        (Some("project_status"), _) => {
            let stages = projects.entry(text(&payload["project"])).or_default();
            stages.insert(text(&payload["stage"]));
        }
        _ => {}
    }
}

fn folded<'e>(events: impl IntoIterator<Item = &'e Value>) -> Projects {
    let mut projects = Projects::new();
    for event in events {
        apply(&mut projects, event);
    }
    projects
}

/// One write, which publishes one event.
async fn step(server: &Server, random: &mut StdRng, projects: &mut Projects) {
    let name = format!("p{}", random.random_range(0..30));
    let spec = json!({"image": "app:1"});
    let path = format!("/api/projects/{name}");
    let (method, path, body) = match projects.contains_key(&name) {
        false => {
            projects.insert(name.clone(), BTreeSet::new());
            let new = json!({"name": name, "spec": spec});
            (Method::POST, "/api/projects".to_owned(), new)
        }
        true if random.random_ratio(1, 3) => {
            projects.remove(&name);
            (Method::DELETE, path, json!({}))
        }
        true => {
            let stage = format!("s{}", random.random_range(0..5));
            let path = format!("{path}/stages/{stage}");
            (Method::PUT, path, json!({"spec": spec}))
        }
    };
    let (status, answer) = server.send(method, &path, &body).await;
    assert!(status.is_success(), "{path}: {answer}");
}

/// What a client has taken.
struct Taken {
    snapshot: Projects,
    as_of: i64,
    /// That came afterwards, up to the last.
    events: Vec<Value>,
}

/// Takes a snapshot at one moment, and opens the stream at a later one.
async fn attach(
    http: Client,
    base: String,
    moments: [usize; 2],
    steps: watch::Receiver<usize>,
) -> Taken {
    let reaches = async |moment| {
        let mut steps = steps.clone();
        let reached = steps.wait_for(|step| *step >= moment).await;
        reached.expect("it goes on").to_owned()
    };
    reaches(moments[0]).await;
    let answer = http.get(format!("{base}/api/projects")).send().await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    let list: Value = answer.json().await.expect("JSON");
    reaches(moments[1]).await;
    let as_of = list["as_of"]["id"].as_i64().expect("an id");
    let last_id = format!("{}-{as_of}", text(&list["as_of"]["journal"]));
    let mut stream = Sse::open(&http, &format!("{base}/api/events"), Some(&last_id)).await;
    assert_eq!(stream.hello["resumed"], true);
    let mut events = Vec::new();
    while events
        .last()
        .is_none_or(|event: &Value| event["payload"]["project"] != LAST)
    {
        events.push(stream.event().await.expect("the stream goes on"));
    }
    Taken {
        snapshot: of_snapshot(&list),
        as_of,
        events,
    }
}

#[tokio::test]
async fn a_snapshot_and_the_stream_from_it_on_are_all_that_was_published_whenever_a_client_attaches()
 {
    let server = Server::start().await;
    let over_http2 = Client::builder().no_proxy().http2_prior_knowledge();
    let transports = [server.http.clone(), over_http2.build().expect("a client")];
    let (at, steps) = watch::channel(0);
    let mut clients = JoinSet::new();
    for seed in 0..CLIENTS {
        let mut random = StdRng::seed_from_u64(seed);
        let first = random.random_range(0..STEPS);
        let second = random.random_range(first..(first + 30).min(STEPS));
        let http = transports[random.random_range(0..2)].clone();
        clients.spawn(attach(http, server.url(""), [first, second], steps.clone()));
    }
    let (mut random, mut projects) = (StdRng::seed_from_u64(CLIENTS), Projects::new());
    for number in 0..STEPS {
        step(&server, &mut random, &mut projects).await;
        at.send_replace(number + 1);
    }
    let last = json!({"name": LAST, "spec": {"image": "app:1"}});
    let (status, answer) = server.post("/api/projects", &last).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");

    let published = server.json("/api/events?limit=500").await;
    assert_eq!(published["next"], Value::Null, "a page holds all of it");
    let published = published["items"].as_array().expect("items");
    let truth = of_snapshot(&server.json("/api/projects").await);
    let mut joins = BTreeSet::new();
    while let Some(taken) = clients.join_next().await {
        let Taken {
            snapshot,
            as_of,
            events,
        } = taken.expect("it has come to the last event");
        let (before, after) = published.split_at(usize::try_from(as_of).expect("an index"));
        assert_eq!(snapshot, folded(before), "as of {as_of}");
        assert!(events == after, "no gap, no duplicate, in order");
        let mut known = snapshot;
        events.iter().for_each(|event| apply(&mut known, event));
        assert_eq!(known, truth);
        joins.insert(as_of);
    }
    assert!(joins.len() > 50, "{joins:?}");
    server.stop().await;
}
