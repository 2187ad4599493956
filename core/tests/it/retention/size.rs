use std::time::Duration;

use reqwest::Client;
use rusqlite::Connection;
use serde_json::{Value, json};
use tiny_forge::{
    events::{Filter, Gaps, Next, Start},
    model::{EventId, EventType, ResetReason},
    store::{Amount, Retention, StoreError},
};

use crate::support::{
    journal::{Journal, log_line, take},
    note::{gap, note},
    server::Server,
    sse::{PATIENCE, Sse},
    wait,
};

fn only(kind: EventType) -> Filter {
    Filter {
        types: vec![kind],
        ..Filter::default()
    }
}

#[tokio::test]
async fn a_flood_of_one_type_pushes_out_itself_and_resets_only_those_who_want_it() {
    let journal = Journal::new();
    let rare = vec![gap(), gap(), gap()];
    journal.bus.publish_all(rare).await.expect("published");
    journal.publish(1_500).await;
    let journal = journal.reopen();
    let retention = Retention {
        events_max: 100,
        ..Retention::default()
    };
    journal.trim(retention, |events| events.rows == 100).await;

    let from_the_start = |filter| journal.bus.subscribe(filter, Start::After(EventId(0)));
    let start = Start::After(EventId(0));
    let mut left = journal
        .bus
        .subscribe_over(Filter::default(), start, Gaps::Tell);
    let told = left.next().await.expect("an answer");
    let Next::Reset {
        reason: ResetReason::Retention,
        head: floor,
    } = told
    else {
        panic!("{told:?}");
    };
    assert!(floor > EventId(3), "{floor:?}");
    assert_eq!(take(&mut left, 4).await[..3], [1, 2, 3]);

    let mut rare = from_the_start(only(EventType::WatchGap));
    assert_eq!(take(&mut rare, 3).await, [1, 2, 3]);
    for filter in [only(EventType::System), Filter::default()] {
        let next = from_the_start(filter).next().await.expect("an answer");
        assert!(matches!(
            next,
            Next::Reset {
                reason: ResetReason::Retention,
                head: EventId(1_503)
            }
        ));
    }
    let start = Start::After(EventId(1_406));
    let mut rest = journal.bus.subscribe(Filter::default(), start);
    assert_eq!(take(&mut rest, 97).await.first(), Some(&1_407));
}

#[tokio::test]
async fn events_beyond_their_size_go_and_the_file_gets_smaller() {
    let journal = Journal::new();
    let long = "x".repeat(10_000);
    for _ in 0..30 {
        let events = (0..100).map(|_| note(&long)).collect();
        journal.bus.publish_all(events).await.expect("published");
    }
    let journal = journal.reopen();
    let pages = || {
        let database = Connection::open(journal.dir.path().join("tiny-forge.db"));
        let pages = database
            .expect("a database")
            .query_row("PRAGMA page_count", [], |row| row.get(0));
        pages.expect("a number")
    };
    let before: u64 = pages();
    let retention = Retention {
        events_mib: 1,
        ..Retention::default()
    };
    let is_small = |events: Amount| events.bytes <= 1 << 20 && pages() < before / 2;
    journal.trim(retention, is_small).await;
    let head = journal.bus.head().id;
    let last = Start::After(EventId(head.0 - 100));
    let mut newest = journal.bus.subscribe(Filter::default(), last);
    assert_eq!(take(&mut newest, 100).await.len(), 100);
}

#[tokio::test]
async fn what_is_kept_is_counted_right_whatever_fails_on_the_way() {
    let journal = Journal::new();
    journal.publish(10).await;
    let lines = (0..5).map(|_| log_line(1, "a line")).collect();
    journal.bus.publish_all(lines).await.expect("published");
    let mut writes = Vec::new();
    for number in 0..20 {
        let write = journal.store.enqueue(move |tx| {
            tx.publish(note("maybe"))?;
            tx.publish(gap())?;
            if number % 3 == 0 {
                return Err(StoreError::Busy);
            }
            Ok(())
        });
        writes.push(write.expect("there is room"));
    }
    for write in writes {
        let _ = write.committed().await;
    }
    let retention = Retention {
        events_max: 15,
        ..Retention::default()
    };
    journal.trim(retention, |events| events.rows == 15).await;
    let kept = journal.store.read(|reader| reader.kept()).await;
    let dir = journal.close();
    let database = Connection::open(dir.path().join("tiny-forge.db")).expect("a database");
    for kept in kept.expect("readable") {
        let (rows, bytes) = database
            .query_row(
                "SELECT count(*), coalesce(sum(octet_length(frame)), 0) FROM (
                     SELECT type, frame FROM events
                     UNION ALL SELECT 'deploy_log', frame FROM deploy_logs
                 ) WHERE type = ?1",
                [kept.kind.as_str()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .expect("numbers");
        assert_eq!(kept.amount, Amount { rows, bytes }, "{:?}", kept.kind);
    }
}

#[tokio::test]
async fn a_page_says_from_which_event_on_nothing_of_its_kind_was_deleted() {
    let server = Server::configured(|_, args| args.events_max = Some("1000".into())).await;
    server
        .bus()
        .publish_all(vec![gap(), gap()])
        .await
        .expect("published");
    let notes = (0..1_100).map(|n| note(&n.to_string())).collect();
    server.bus().publish_all(notes).await.expect("published");
    // It is deleted at a start, at the latest.
    let server = server.restart().await;
    let mut looks = tokio::time::interval(Duration::from_millis(50));
    let page = loop {
        looks.tick().await;
        let page = server.json("/api/events?type=system").await;
        if page["oldest"]["id"] != 1 {
            break page;
        }
    };
    assert_eq!(page["oldest"]["journal"], page["as_of"]["journal"]);
    assert_eq!(page["items"][0]["id"], page["oldest"]["id"]);
    let rare = server.json("/api/events?type=watch_gap&order=desc").await;
    assert_eq!(rare["oldest"]["id"], 1);
    server.stop().await;
}

#[tokio::test]
async fn log_lines_in_bulk_push_nothing_out_but_log_lines() {
    let journal = Journal::new();
    journal.publish(5).await;
    let lines = (0..1_500).map(|n| log_line(1, &n.to_string())).collect();
    journal.bus.publish_all(lines).await.expect("published");
    let retention = Retention {
        logs_max: 100,
        events_max: 1_000,
        ..Retention::default()
    };
    journal
        .trim_logs(retention, |lines| lines.rows == 100)
        .await;
    let events = journal.kept(|kind| kind == EventType::System).await;
    assert_eq!(events.rows, 5);
    let floor = |kind| journal.store.floor(&only(kind));
    assert_eq!(floor(EventType::System), EventId(0));
    assert_eq!(floor(EventType::DeployLog), EventId(1_405));
}

#[tokio::test]
async fn log_lines_beyond_their_size_go_and_the_newest_stay() {
    let journal = Journal::new();
    journal.publish(5).await;
    let long = "x".repeat(1_000);
    for _ in 0..3 {
        let lines = (0..1_000).map(|_| log_line(1, &long)).collect();
        journal.bus.publish_all(lines).await.expect("published");
    }
    let retention = Retention {
        logs_mib: 1,
        ..Retention::default()
    };
    journal
        .trim_logs(retention, |lines| lines.bytes <= 1 << 20)
        .await;
    let lines = journal.kept(|kind| kind == EventType::DeployLog).await;
    let (rows, of_one) = (lines.rows, lines.bytes / lines.rows);
    assert!(lines.bytes + 2 * of_one > 1 << 20, "no more than it had to");
    let floor = |kind| journal.store.floor(&only(kind)).0;
    let head = journal.bus.head().id.0;
    assert_eq!(floor(EventType::DeployLog), head - rows as i64);
    assert_eq!(floor(EventType::System), 0);
}

#[tokio::test]
async fn what_enrichers_added_counts_as_a_part_of_the_event_and_goes_with_it() {
    let journal = Journal::new();
    journal.publish(200).await;
    let long = format!("{{\"found\":\"{}\"}}", "x".repeat(10_000));
    let (first, last) = (EventId(1), EventId(200));
    let annotate = |ids: Vec<EventId>, json: String| {
        journal.store.write(move |tx| {
            ids.iter()
                .try_for_each(|id| tx.annotate(*id, "finder", &json))
        })
    };
    let all = (1..=200).map(EventId).collect();
    annotate(all, long.clone()).await.expect("annotated");
    let kept = async || journal.kept(|kind| kind == EventType::System).await;
    assert!(kept().await.bytes > 2_000_000);
    // Again, and shorter.
    annotate(vec![last], "{}".into()).await.expect("annotated");
    let retention = Retention {
        events_mib: 1,
        ..Retention::default()
    };
    journal
        .trim(retention, |events| events.bytes <= 1 << 20)
        .await;
    let left = kept().await;
    assert!((80..120).contains(&left.rows), "{left:?}");

    annotate(vec![first], long)
        .await
        .expect("there is none to annotate");
    assert_eq!(kept().await, left);
    let of = |id| journal.store.read(move |reader| reader.annotations(id));
    assert_eq!(of(first).await.expect("readable"), []);
    let of_last = of(last).await.expect("readable");
    assert_eq!(of_last, [("finder".to_owned(), "{}".to_owned())]);
}

/// Goes on after this event: `hello`, and the reset if there is one.
async fn resume(http: &Client, server: &Server, id: &str) -> (Value, Option<Value>) {
    let mut stream = Sse::open(http, &server.url("/api/events"), Some(id)).await;
    let hello = stream.hello.clone();
    let head = hello["head"]
        .as_str()
        .and_then(|head| head.rsplit('-').next());
    let head: i64 = head.and_then(|id| id.parse().ok()).expect("an id");
    server
        .bus()
        .publish_all(vec![gap()])
        .await
        .expect("published");
    let mut reset = None;
    loop {
        let frame = stream.frame().await.expect("the stream goes on");
        let data: Value = serde_json::from_str(&frame.data).unwrap_or_default();
        match frame.event.as_str() {
            "reset" => reset = Some(data),
            "message" => {
                if reset.is_some() {
                    assert_eq!(data["id"], head + 1, "it goes on from the head");
                }
                return (hello, reset);
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn who_resumes_is_told_what_is_missing_and_why() {
    let server = Server::configured(|_, args| args.events_max = Some("1000".into())).await;
    let notes = (0..2_500).map(|n| note(&n.to_string())).collect();
    server.bus().publish_all(notes).await.expect("published");
    let server = server.restart().await;
    let trimmed = wait::answer(async || {
        let page = server.json("/api/events?type=system&limit=1").await;
        let oldest = page["oldest"]["id"].as_i64()?;
        (server.bus().head().id.0 - oldest < 1_000).then_some(oldest)
    });
    let oldest = trimmed.await.expect("retention works");
    let over_http2 = Client::builder().no_proxy().http2_prior_knowledge();
    for http in [server.http.clone(), over_http2.build().expect("a client")] {
        let head = server.bus().head();
        let at = |id: i64| format!("{}-{id}", head.journal);
        for (id, reason) in [
            (at(5), "retention"),
            (at(head.id.0 + 1_000), "ahead"),
            ("jother-7".to_owned(), "foreign_journal"),
            ("whatever".to_owned(), "foreign_journal"),
        ] {
            let (hello, reset) = resume(&http, &server, &id).await;
            let reset = reset.expect("a reset");
            assert_eq!(reset["reason"], reason, "{id}");
            assert_eq!(reset["head"], hello["head"], "{id}");
            assert_eq!(hello["resumed"], false, "{id}");
            assert_eq!(hello["oldest"], at(oldest), "{id}");
        }
        let head = server.bus().head();
        let (hello, reset) = resume(&http, &server, &at(head.id.0 - 10)).await;
        assert_eq!((&hello["resumed"], reset), (&json!(true), None));
        assert_eq!(hello["missed"], 10);
        // Whoever has seen nothing misses nothing.
        let url = server.url("/api/events?type=system&after=0");
        let mut all = Sse::open(&http, &url, None).await;
        assert_eq!(all.event().await.expect("an event")["id"], oldest);
    }
    // Nobody who asks for a page is shown that of another journal.
    let page = server.get("/api/events?after=jother-7").send().await;
    assert_eq!(page.expect("an answer").status(), 400);
    server.stop().await;
}

/// The ids of the events before a reset, and the reset.
async fn up_to_reset(stream: &mut Sse) -> (Vec<i64>, Value) {
    let mut ids = Vec::new();
    loop {
        let frame = stream.frame().await.expect("the stream goes on");
        let data: Value = serde_json::from_str(&frame.data).expect("JSON");
        match frame.event.as_str() {
            "reset" => return (ids, data),
            "message" => ids.push(data["id"].as_i64().expect("an id")),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_subscriber_that_lags_behind_retention_is_told_in_the_middle_of_its_stream_and_goes_on() {
    let server = Server::configured(|_, args| args.events_mib = Some("1".into())).await;
    let over_http2 = Client::builder().no_proxy().http2_prior_knowledge();
    let mut streams = Vec::new();
    for http in [server.http.clone(), over_http2.build().expect("a client")] {
        streams.push(Sse::open(&http, &server.url("/api/events"), None).await);
    }
    let listed = server.json("/api/subscriptions").await;
    let transports = [0, 1].map(|nth| listed["items"][nth]["transport"].clone());
    assert_eq!(transports, ["socket", "body"]);

    // More than sockets and memory hold together, and nobody reads.
    let large = "x".repeat(50 << 10);
    for _ in 0..8 {
        let many = (0..100).map(|_| note(&large)).collect();
        server.bus().publish_all(many).await.expect("published");
    }
    let head = server.bus().head();
    let trimmed = wait::answer(async || {
        let page = server.json("/api/events?type=system&limit=1").await;
        (page["oldest"]["id"].as_i64()? > head.id.0 - 100).then_some(())
    });
    trimmed.await.expect("retention works");

    for stream in &mut streams {
        let told = tokio::time::timeout(PATIENCE, up_to_reset(stream)).await;
        let (before, reset) = told.expect("a reset in time");
        assert!(before.len() < 800, "it has missed some");
        assert!(before.windows(2).all(|pair| pair[1] == pair[0] + 1));
        assert_eq!(reset["reason"], "retention");
        let at = reset["head"].as_str().expect("a position");
        assert_eq!(stream.last_id, at, "from there a client resumes");
        let at: i64 = at
            .rsplit('-')
            .next()
            .expect("a number")
            .parse()
            .expect("a number");
        assert!(at >= head.id.0 && Some(&at) > before.last());
        let gaps = vec![gap(), gap()];
        server.bus().publish_all(gaps).await.expect("published");
        let next = [stream.event().await, stream.event().await];
        let next = next.map(|event| event.expect("the stream goes on")["id"].as_i64());
        assert_eq!(next, [Some(at + 1), Some(at + 2)]);
    }
    server.stop().await;
}
