//! The promises of the bus: order, no gap, no duplicate, nothing lost.

use std::{pin::pin, sync::mpsc};

use futures_util::poll;
use tiny_forge::{
    events::{Filter, Next, Start},
    model::{DeployId, EventId, EventType, NewEvent, Position, ResetReason, Severity},
    store::{Retention, StoreError},
};
use tokio::task::JoinSet;

use crate::support::{
    journal::{Journal, log_line, take},
    note::note,
};

#[tokio::test]
async fn a_subscription_replays_and_goes_live_without_gap_or_duplicate() {
    let journal = Journal::new();
    journal.publish(100).await;
    let mut readers = JoinSet::new();
    for after in 0..20 {
        let mut subscription = journal
            .bus
            .subscribe(Filter::everything(), Start::After(EventId(after * 5)));
        readers.spawn(async move {
            let expected: Vec<i64> = (after * 5 + 1..=2_100).collect();
            assert_eq!(take(&mut subscription, expected.len()).await, expected);
        });
    }
    for _ in 0..200 {
        journal.publish(10).await;
    }
    while let Some(reader) = readers.join_next().await {
        reader.expect("every reader saw all");
    }
}

#[tokio::test]
async fn a_subscriber_that_lags_out_of_memory_reads_on_from_the_journal() {
    let journal = Journal::new();
    let mut slow = journal.bus.subscribe(Filter::everything(), Start::Live);
    for _ in 0..20 {
        journal.publish(1_000).await;
    }
    let expected: Vec<i64> = (1..=20_000).collect();
    assert_eq!(take(&mut slow, expected.len()).await, expected);
}

#[tokio::test]
async fn ids_go_on_after_a_restart_and_a_remembered_position_resumes() {
    let journal = Journal::new();
    journal.publish(3).await;
    let remembered = journal.bus.head();
    let journal = journal.reopen();
    journal.publish(2).await;
    let mut resumed = journal
        .bus
        .subscribe(Filter::everything(), Start::Resume(remembered));
    assert_eq!(take(&mut resumed, 2).await, [4, 5]);
}

#[tokio::test]
async fn a_position_of_another_journal_or_of_the_future_is_answered_with_a_reset() {
    let journal = Journal::new();
    journal.publish(3).await;
    let head = journal.bus.head();
    let foreign = Position {
        journal: "jother".into(),
        id: EventId(1),
    };
    let ahead = Position {
        id: EventId(99),
        ..head.clone()
    };
    for (position, expected) in [
        (foreign, ResetReason::ForeignJournal),
        (ahead, ResetReason::Ahead),
    ] {
        let mut subscription = journal
            .bus
            .subscribe(Filter::everything(), Start::Resume(position));
        let next = subscription.next().await.expect("an answer");
        assert!(
            matches!(next, Next::Reset { reason, head: at } if reason == expected && at == head.id)
        );
    }
}

#[tokio::test]
async fn what_retention_has_removed_is_answered_with_a_reset_and_logs_go_apart() {
    let journal = Journal::new();
    journal.publish(100).await;
    let lines = (0..100).map(|n| log_line(1, &n.to_string())).collect();
    journal.bus.publish_all(lines).await.expect("published");
    let retention = Retention {
        events_max: 10,
        ..Retention::default()
    };
    let journal = journal.reopen();
    journal.trim(retention, |amount| amount.rows == 10).await;

    let after = |filter, id| journal.bus.subscribe(filter, Start::After(EventId(id)));
    let next = after(Filter::default(), 50)
        .next()
        .await
        .expect("an answer");
    assert!(matches!(
        next,
        Next::Reset {
            reason: ResetReason::Retention,
            head: EventId(200)
        }
    ));
    assert_eq!(take(&mut after(Filter::default(), 90), 10).await.len(), 10);
    let logs = Filter {
        types: vec![EventType::DeployLog],
        ..Filter::default()
    };
    assert_eq!(take(&mut after(logs.clone(), 0), 100).await.len(), 100);

    let floors = |journal: &Journal| {
        let of = |filter| journal.store.floor(filter).0;
        (of(&Filter::default()), of(&logs))
    };
    assert_eq!(floors(&journal), (90, 0), "known without a read");
    assert_eq!(floors(&journal.reopen()), (90, 0), "and after a restart");
}

#[tokio::test]
async fn a_filter_lets_through_what_it_names_in_replay_and_live_alike() {
    let journal = Journal::new();
    let warning = |text| NewEvent {
        severity: Severity::Warning,
        ..note(text)
    };
    journal
        .bus
        .publish_all(vec![note("a"), warning("b"), note("c")])
        .await
        .expect("published");
    let filter = Filter {
        types: vec![EventType::System],
        min_severity: Some(Severity::Warning),
        ..Filter::default()
    };
    let mut subscription = journal.bus.subscribe(filter, Start::After(EventId(0)));
    assert_eq!(take(&mut subscription, 1).await, [2]);
    journal
        .bus
        .publish_all(vec![note("d"), warning("e")])
        .await
        .expect("published");
    assert_eq!(take(&mut subscription, 1).await, [5]);
}

#[tokio::test]
async fn logs_of_named_deploys_come_besides_what_the_filter_lets_through() {
    let journal = Journal::new();
    let round = || {
        vec![
            note("not wanted"),
            log_line(1, "wanted"),
            log_line(2, "of another deploy"),
            NewEvent {
                severity: Severity::Warning,
                ..note("wanted")
            },
        ]
    };
    journal.bus.publish_all(round()).await.expect("published");
    let journal = journal.reopen();
    journal.bus.publish_all(round()).await.expect("published");
    let filter = Filter {
        min_severity: Some(Severity::Warning),
        logs: vec![DeployId(1)],
        ..Filter::default()
    };
    let mut subscription = journal.bus.subscribe(filter, Start::After(EventId(0)));
    assert_eq!(take(&mut subscription, 4).await, [2, 4, 6, 8]);
    journal.bus.publish_all(round()).await.expect("published");
    assert_eq!(take(&mut subscription, 2).await, [10, 12]);

    let both = Filter {
        types: vec![EventType::DeployLog],
        deploys: vec![DeployId(2)],
        logs: vec![DeployId(1)],
        ..Filter::default()
    };
    let mut subscription = journal.bus.subscribe(both, Start::After(EventId(0)));
    assert_eq!(take(&mut subscription, 6).await, [2, 3, 6, 7, 10, 11]);
}

#[tokio::test]
async fn a_write_that_fails_leaves_neither_state_nor_event_nor_a_hole_in_the_ids() {
    let journal = Journal::new();
    let failed: Result<(), StoreError> = journal
        .store
        .write(|tx| {
            tx.publish(note("never"))?;
            Err(StoreError::Busy)
        })
        .await;
    assert!(failed.is_err());
    journal.publish(1).await;
    let mut subscription = journal
        .bus
        .subscribe(Filter::everything(), Start::After(EventId(0)));
    assert_eq!(take(&mut subscription, 1).await, [1]);
}

#[tokio::test]
async fn an_event_that_is_too_large_is_refused_by_name() {
    let journal = Journal::new();
    let error = journal
        .bus
        .publish_all(vec![note(&"x".repeat(70_000))])
        .await;
    assert!(matches!(error, Err(StoreError::EventTooLarge(_))));
}

/// A write that keeps the writer busy until it is let go.
fn occupy(journal: &Journal) -> mpsc::Sender<()> {
    let (release, held) = mpsc::channel();
    let (entered, begins) = mpsc::channel();
    let write = journal.store.enqueue(move |_| {
        entered.send(()).expect("somebody waits");
        // Let go, at the latest when its test has failed.
        let _ = held.recv();
        Ok(())
    });
    write.expect("there is room");
    begins.recv().expect("it runs");
    release
}

fn commits(journal: &Journal) -> Vec<usize> {
    let segments = journal.bus.log().segments_after(EventId(0), usize::MAX);
    let segments = segments.expect("all are in memory");
    segments.iter().map(|it| it.chunks().len()).collect()
}

#[tokio::test]
async fn what_is_published_during_a_commit_is_one_commit_together() {
    let journal = Journal::new();
    let release = occupy(&journal);
    let publish = |n: usize| journal.bus.publish(note(&n.to_string()));
    let receipts: Vec<_> = (0..200).map(publish).collect();
    drop(release);
    for (number, receipt) in (1..).zip(receipts) {
        let id = receipt.expect("there is room").committed().await;
        assert_eq!(id.expect("committed"), EventId(number));
    }
    assert_eq!(commits(&journal), [200]);
}

#[tokio::test]
async fn a_full_queue_refuses_who_publishes_lets_others_wait_and_keeps_what_it_took() {
    const QUEUE: i64 = 4_096;
    let journal = Journal::new();
    let release = occupy(&journal);
    let publish = |n: usize| journal.bus.publish(note(&n.to_string()));
    let (taken, refused): (Vec<_>, Vec<_>) = (0..5_000).map(publish).partition(Result::is_ok);
    assert_eq!(taken.len(), QUEUE as usize);
    for refused in refused {
        assert!(matches!(refused, Err(StoreError::Busy)));
    }
    let mut waiting = pin!(journal.store.write(|tx| tx.publish(note("waits"))));
    assert!(poll!(waiting.as_mut()).is_pending());

    drop(release);
    for (number, receipt) in (1..).zip(taken) {
        let id = receipt.expect("taken").committed().await;
        assert_eq!(id.expect("committed"), EventId(number));
    }
    assert_eq!(waiting.await.expect("committed"), EventId(QUEUE + 1));
    let commits = commits(&journal);
    assert!(commits.len() < 20, "{commits:?}");
    let all = Start::After(EventId(0));
    let mut all = journal.bus.subscribe(Filter::default(), all);
    let expected: Vec<i64> = (1..=QUEUE + 1).collect();
    assert_eq!(take(&mut all, expected.len()).await, expected);
}

#[tokio::test]
async fn a_new_life_begins_with_the_newest_events_in_memory_log_lines_among_them() {
    let journal = Journal::new();
    journal.publish(2_000).await;
    let lines = (0..3_000).map(|n| log_line(1, &n.to_string())).collect();
    journal.bus.publish_all(lines).await.expect("published");
    journal.publish(100).await;
    let journal = journal.reopen();
    assert!(journal.bus.log().after(EventId(0), 1).is_none());
    journal.bus.recall().await;
    let frames = journal.bus.log().after(EventId(0), usize::MAX);
    let ids: Vec<i64> = frames.expect("all").iter().map(|it| it.id().0).collect();
    assert_eq!(ids, (1..=5_100).collect::<Vec<_>>());
}

#[tokio::test]
async fn of_a_past_that_is_larger_than_memory_the_newest_part_is_recalled() {
    let journal = Journal::new();
    let line = "x".repeat(12 << 10);
    for _ in 0..4 {
        let lines = (0..500).map(|_| log_line(1, &line)).collect();
        journal.bus.publish_all(lines).await.expect("published");
    }
    let journal = journal.reopen();
    journal.bus.recall().await;
    let log = journal.bus.log();
    assert!(log.after(EventId(0), 1).is_none(), "24 MiB are too much");
    let newest = log
        .after(EventId(1_000), usize::MAX)
        .expect("12 MiB are not");
    assert_eq!(newest.len(), 1_000);
}
