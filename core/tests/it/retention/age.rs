use tiny_forge::{
    events::{Filter, Start},
    model::{
        Actor, AuditPayload, EventId, EventType, NewEvent, Payload, Severity, Subject, Timestamp,
    },
    store::{Amount, Days, Retention, Trimmer},
};
use tokio_util::sync::CancellationToken;

use crate::support::{
    journal::{Journal, log_line, take},
    note::{gap, note},
};

#[tokio::test]
async fn what_is_older_than_it_may_be_goes_and_a_wrong_clock_takes_nothing_with_it() {
    let Retention { days, .. } = Retention::default();
    goes_when_older_than(days.of(EventType::System), note).await;
    goes_when_older_than(days.of(EventType::DeployLog), |line| log_line(1, line)).await;
}

fn audit() -> NewEvent {
    let payload = Payload::Audit(AuditPayload {
        action: "test".into(),
        resource: "test".into(),
        outcome: "ok".into(),
    });
    let actor = Actor::system("test");
    NewEvent::new(Subject::other("test"), Severity::Info, actor, payload)
}

#[tokio::test]
async fn a_type_may_be_kept_for_longer_or_shorter_than_the_others() {
    const DAY_MS: i64 = 86_400_000;
    let journal = Journal::new();
    let now = Timestamp::now();
    let mut days = Days::new(10, 10);
    days.set(EventType::System, 20);
    days.set(EventType::WatchGap, 5);
    let of_age = |days: i64| {
        let time = Timestamp::from_unix_ms(now.unix_ms() - days * DAY_MS);
        let events = [note("kept longest"), gap(), log_line(1, "a line"), audit()];
        events.map(|event| event.at(time))
    };
    let events = [25, 15, 7, 1].map(of_age).concat();
    journal.bus.publish_all(events).await.expect("published");
    let retention = Retention {
        days,
        ..Retention::default()
    };
    let mut trimmer = Trimmer::new(journal.store.clone(), retention);
    let token = CancellationToken::new();
    // The second time it begins where it ended.
    for _ in 0..2 {
        trimmer.trim_all(&token).await;
        let rows = async |kind| journal.kept(|it| it == kind).await.rows;
        assert_eq!(rows(EventType::System).await, 3);
        assert_eq!(rows(EventType::Audit).await, 2);
        assert_eq!(rows(EventType::DeployLog).await, 2);
        assert_eq!(rows(EventType::WatchGap).await, 1);
    }
    let old = gap().at(Timestamp::from_unix_ms(now.unix_ms() - 6 * DAY_MS));
    journal.bus.publish_all(vec![old]).await.expect("published");
    trimmer.trim_all(&token).await;
    let gaps = journal.kept(|kind| kind == EventType::WatchGap).await;
    assert_eq!(
        gaps.rows, 2,
        "what is old behind one that is young stays with it"
    );
}

async fn goes_when_older_than(limit_days: u32, event: impl Fn(&str) -> NewEvent) {
    const DAY_MS: i64 = 86_400_000;
    let journal = Journal::new();
    let now = Timestamp::now();
    let days_ago = |days: i64| Timestamp::from_unix_ms(now.unix_ms() - days * DAY_MS);
    // Not quite in order, as times of several sources are.
    let of_before = [10, 9, 1, 0, 3].map(|days| i64::from(limit_days) + days);
    let of_before = of_before.map(|days| event("old").at(days_ago(days)));
    let mut events = of_before.to_vec();
    events.extend((0..5).map(|_| event("young")));
    events.push(event("before its clock was set").at(Timestamp::from_unix_ms(0)));
    events.push(event("young"));
    let ahead = (0..1_200).map(|_| event("from the future").at(days_ago(-1_000)));
    events.splice(2..2, ahead.collect::<Vec<_>>());
    journal.bus.publish_all(events).await.expect("published");
    let journal = journal.reopen();
    let retention = Retention::default();
    let is_done = |kept: Amount| kept.rows > 0 && kept.rows <= 7;
    match event("").payload.event_type() {
        EventType::DeployLog => journal.trim_logs(retention, is_done).await,
        _ => journal.trim(retention, is_done).await,
    }
    let start = Start::After(EventId(1_205));
    let mut left = journal.bus.subscribe(Filter::everything(), start);
    assert_eq!(
        take(&mut left, 7).await,
        (1_206..=1_212).collect::<Vec<_>>()
    );
}
