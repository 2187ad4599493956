//! Filters that are changed while their streams run.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng, rngs::StdRng};
use reqwest::Client;
use serde_json::json;
use tiny_forge::{
    events::{Bus, Filter, Next, Start},
    model::{EventId, EventType, NewEvent},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    fanout::{is_note, publish, until},
    support::{
        note::{gap, note},
        raw::Raw,
        server::Server,
        sse::Sse,
    },
};

const CLIENTS: u64 = 20;
const CHANGES: usize = 10;
/// More than memory holds: who begins with the first begins in the journal.
const PAST: usize = 24_000;

/// What a client may wish for.
const WISHES: [&[EventType]; 4] = [
    &[EventType::System],
    &[EventType::WatchGap],
    &[EventType::System, EventType::WatchGap],
    &[EventType::Audit],
];

/// Something rare among something frequent.
fn some(count: usize) -> Vec<NewEvent> {
    let rare_or_not = |n: usize| match n % 7 {
        0 => gap(),
        _ => note(&n.to_string()),
    };
    (0..count).map(rare_or_not).collect()
}

/// A client that changes its mind.
struct Fickle {
    http: Client,
    stream: Sse,
    url: String,
    random: StdRng,
    /// After this event, this is what it wants.
    wishes: Vec<(i64, &'static [EventType])>,
    seen: Vec<i64>,
}

impl Fickle {
    async fn open(server: &Server, seed: u64) -> Self {
        let over_http2 = Client::builder().no_proxy().http2_prior_knowledge();
        let http = match seed % 2 {
            0 => server.http.clone(),
            _ => over_http2.build().expect("a client"),
        };
        let url = server.url("/api/events?after=0&type=system");
        let stream = Sse::open(&http, &url, None).await;
        let id = stream.hello["subscription"].as_str().expect("an id");
        Self {
            http: server.http.clone(),
            url: server.url(&format!("/api/subscriptions/{id}")),
            stream,
            random: StdRng::seed_from_u64(seed),
            wishes: vec![(0, WISHES[0])],
            seen: Vec::new(),
        }
    }

    async fn change_its_mind(mut self) -> Self {
        for _ in 0..CHANGES {
            let wish = WISHES[self.random.random_range(0..WISHES.len())];
            self.wish(wish).await;
            if wish != [EventType::Audit] {
                for _ in 0..self.random.random_range(0..300) {
                    self.read().await;
                }
            }
        }
        // Of this there is little left to read.
        self.wish(WISHES[1]).await;
        self
    }

    async fn wish(&mut self, types: &'static [EventType]) {
        let names: Vec<&str> = types.iter().map(|kind| kind.as_str()).collect();
        let post = self.http.post(&self.url).json(&json!({"type": names}));
        let answer = post.send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let changed: serde_json::Value = answer.json().await.expect("JSON");
        let from = changed["from"]["id"].as_i64().expect("an id");
        self.wishes.push((from, types));
    }

    async fn read(&mut self) -> i64 {
        let event = self.stream.event().await.expect("the stream goes on");
        let id = event["id"].as_i64().expect("an id");
        self.seen.push(id);
        id
    }

    async fn read_up_to(mut self, last: i64) -> Self {
        while self.seen.last() != Some(&last) {
            self.read().await;
        }
        self
    }

    /// What it should have seen of the journal.
    fn wanted(&self, journal: &BTreeMap<i64, EventType>) -> Vec<i64> {
        let is_wanted = |id: i64, kind: EventType| {
            let mut wishes = self.wishes.iter().rev();
            let wish = wishes.find(|(from, _)| *from < id);
            wish.is_some_and(|(_, types)| types.contains(&kind))
        };
        let wanted = journal.iter().filter(|(id, kind)| is_wanted(**id, **kind));
        wanted.map(|(id, _)| *id).collect()
    }
}

/// The types of all events.
async fn journal(bus: &Bus) -> BTreeMap<i64, EventType> {
    let mut journal = BTreeMap::new();
    let mut all = bus.subscribe(Filter::everything(), Start::After(EventId(0)));
    while journal.len() < usize::try_from(bus.head().id.0).expect("a number") {
        let next = all.next().await.expect("the journal can be read");
        let Next::Events(frames) = next else {
            panic!("{next:?}")
        };
        journal.extend(
            frames
                .iter()
                .map(|frame| (frame.id().0, frame.parts().kind)),
        );
    }
    journal
}

#[tokio::test]
async fn each_filter_of_a_stream_holds_from_the_event_that_its_answer_names_however_far_behind_it_is()
 {
    let server = Server::start().await;
    for _ in 0..PAST / 3_000 {
        let past = server.bus().publish_all(some(3_000)).await;
        past.expect("published");
    }
    let (bus, end) = (server.bus().clone(), CancellationToken::new());
    let publishing = async {
        while !end.is_cancelled() {
            bus.publish_all(some(10)).await.expect("published");
        }
    };
    let changing = async {
        let mut clients = JoinSet::new();
        for seed in 0..CLIENTS {
            let client = Fickle::open(&server, seed).await;
            clients.spawn(client.change_its_mind());
        }
        let clients = clients.join_all().await;
        end.cancel();
        clients
    };
    let ((), clients) = tokio::join!(publishing, changing);
    bus.publish_all(vec![gap()]).await.expect("published");

    let journal = journal(&bus).await;
    let last = bus.head().id.0;
    let reading = clients.into_iter().map(|client| client.read_up_to(last));
    for client in reading.collect::<JoinSet<_>>().join_all().await {
        let wanted = client.wanted(&journal);
        let wrong = client
            .seen
            .iter()
            .zip(&wanted)
            .find(|(one, two)| one != two);
        assert_eq!(wrong, None, "{:?}", client.wishes);
        assert_eq!(client.seen.len(), wanted.len());
    }
    server.stop().await;
}

#[tokio::test]
async fn the_filter_of_an_open_stream_can_be_changed_and_the_answer_says_since_when() {
    let server = Server::start().await;
    let over_http2 = Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .build()
        .expect("a client");
    for (http, transport) in [(server.http.clone(), "socket"), (over_http2, "body")] {
        let url = server.url("/api/events?type=audit");
        let mut stream = Sse::open(&http, &url, None).await;
        publish(&server, 0..10).await;
        let id = stream.hello["subscription"].clone();
        let id = id.as_str().expect("an id");
        let path = format!("/api/subscriptions/{id}");
        let (status, changed) = server.post(&path, &json!({"type": ["system"]})).await;
        assert_eq!(status, 200, "{changed}");
        assert_eq!(changed["filter"], json!({"type": ["system"]}));
        let from = changed["from"]["id"].as_i64().expect("an id");
        publish(&server, 10..20).await;
        let first = stream.until(is_note).await;
        assert_eq!(first["id"].as_i64(), Some(from + 1), "{transport}");
        let listed = server.subscriptions().await;
        let mine = listed.iter().find(|item| item["id"] == id).expect("listed");
        assert_eq!(mine["transport"], transport);
        assert_eq!(mine["filter"], json!({"type": ["system"]}));
        assert_eq!(mine["principal"], "local");
        assert!(mine["sent_bytes"].as_u64() > Some(200), "{mine}");
    }
    let (status, problem) = server.post("/api/subscriptions/sgone", &json!({})).await;
    assert_eq!(status, 404, "{problem}");
    let bad = json!({"type": ["nonsense"]});
    let (status, problem) = server.post("/api/subscriptions/sgone", &bad).await;
    assert_eq!(status, 422, "{problem}");
    server.stop().await;
}

#[tokio::test]
async fn a_filter_that_changes_while_its_client_is_behind_holds_from_where_that_is() {
    const LAST: usize = 30_000;
    let server = Server::start().await;
    let mut client = Raw::open(&server, "/api/events?type=system").await;
    client.until("event: hello").await;
    let id = server.subscriptions().await[0]["id"].clone();
    for from in (0..LAST).step_by(3_000) {
        publish(&server, from..from + 3_000).await;
    }
    let is_behind = async || server.subscriptions().await[0]["lag"].as_i64() > Some(1_000);
    until(is_behind).await;
    let path = format!("/api/subscriptions/{}", id.as_str().expect("an id"));
    let wanted = json!({"type": ["watch_gap"]});
    let (status, changed) = server.post(&path, &wanted).await;
    assert_eq!(status, 200, "{changed}");
    let from = changed["from"]["id"].as_i64().expect("an id");
    publish(&server, 0..10).await;
    let head = server.bus().head().id.0;
    assert!(from < head - 1_000, "{from} of {head}");
    server
        .bus()
        .publish_all(vec![gap()])
        .await
        .expect("published");
    client.until("\"type\":\"watch_gap\"").await;
    let ids = client.ids();
    let (last, notes) = ids.split_last().expect("events");
    assert_eq!((*last, notes.last()), (head + 1, Some(&from)));
    assert!(notes.windows(2).all(|pair| pair[1] == pair[0] + 1));
    server.stop().await;
}
