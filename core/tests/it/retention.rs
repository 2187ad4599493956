//! How much of the journal is kept, and who notices.

use std::time::Duration;

use rusqlite::Connection;
use tiny_forge::{
    events::{Filter, Next, ResetReason, Start},
    model::{Actor, EventId, EventType, NewEvent, Payload, Severity, Subject, WatchGapPayload},
    store::{Amount, Retention, StoreError},
};

use crate::support::{
    journal::{Journal, log_line, take},
    note::note,
    server::Server,
};

fn only(kind: EventType) -> Filter {
    Filter {
        types: vec![kind],
        ..Filter::default()
    }
}

/// An event of a type that is rare here.
fn gap() -> NewEvent {
    let now = tiny_forge::model::Timestamp::now();
    let payload = Payload::WatchGap(WatchGapPayload {
        from: now,
        to: now,
        reason: "test".into(),
    });
    NewEvent::new(
        Subject::other("engine"),
        Severity::Warning,
        Actor::system("test"),
        payload,
    )
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
    let mut left = from_the_start(Filter::default()).with_what_is_left();
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
