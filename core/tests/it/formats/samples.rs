use std::collections::BTreeMap;

use serde_json::json;
use tiny_forge::{
    events::{Control, Frame, FrameParts, SegmentBuilder},
    model::{
        Actor, ActorKind, AuditPayload, DeliveryStatusPayload, DeployId, DeployLogPayload,
        DeployStatus, DeployStatusPayload, Event, EventAnnotatedPayload, EventId, EventType,
        Failure, Health, Hello, InstanceReason, InstanceSource, InstanceStatus,
        InstanceStatusPayload, LayerProgress, LogStream, LoopbackPort, Payload, Plan,
        PluginStatusPayload, Position, ProjectChange, ProjectStatusPayload, PullProgress, Reset,
        ResetReason, Severity, StageName, StepName, StepStatus, Strategy, SystemPayload, Timestamp,
        WatchGapPayload,
    },
};

pub const JOURNAL: &str = "j0a1b2c3d4e5f";

/// An event of each type, with a value in every field.
pub fn event(kind: EventType) -> Event {
    Event {
        id: EventId(41),
        payload: payload(kind),
        time: at(0),
        recorded: at(7),
        node: "n-0123456789ab".into(),
        subject: subject(kind).into(),
        severity: Severity::Warning,
        actor: Actor {
            kind: ActorKind::User,
            name: "local".into(),
        },
        cause: Some(EventId(40)),
    }
}

/// Ends of deploys that have changed a service, by the word of CDEvents for it.
pub fn successes() -> [(&'static str, Event); 3] {
    let earlier = Some(DeployId(15));
    [
        ("deployed", None, None),
        ("upgraded", None, earlier),
        ("rolledback", earlier, earlier),
    ]
    .map(|(word, rolls_back_to, replaces)| {
        let payload = DeployStatusPayload {
            status: DeployStatus::Succeeded,
            step: None,
            step_status: None,
            duration_ms: None,
            message: None,
            plan: None,
            progress: None,
            failure: None,
            rolls_back_to,
            replaces,
            ..deploy_status()
        };
        let payload = Payload::DeployStatus(Box::new(payload));
        let event = event(EventType::DeployStatus);
        (word, Event { payload, ..event })
    })
}

/// As it comes out of the journal.
pub fn frame(event: &Event) -> Frame {
    let parts = FrameParts {
        id: event.id,
        kind: event.payload.event_type(),
        severity: event.severity,
        time: event.time,
        project: None,
        stage: None,
        instance: None,
        deploy: None,
    };
    let json = serde_json::to_string(event).expect("JSON");
    let mut builder = SegmentBuilder::new(JOURNAL);
    builder.push_stored(&parts, &json);
    let segment = builder.seal().expect("one frame");
    segment.frames_from(0).next().expect("one frame")
}

/// What a stream may say of itself.
pub fn controls() -> Vec<Control> {
    let position = |id| Position {
        journal: JOURNAL.into(),
        id: EventId(id),
    };
    let resets = ResetReason::ALL.map(|reason| {
        Control::Reset(Reset {
            reason,
            head: position(41),
        })
    });
    let hello = Hello {
        head: position(41),
        oldest: position(1),
        resumed: true,
        missed: 3,
        subscription: "s0123456789abcdef".into(),
    };
    let others = [
        Control::Hello {
            hello,
            after: Some(position(38)),
            retry_ms: 1_000,
        },
        Control::Bookmark {
            at: position(41),
            time: at(0),
        },
        Control::End,
        Control::Farewell { retry_ms: 1_000 },
    ];
    resets.into_iter().chain(others).collect()
}

pub fn at(ms: u64) -> Timestamp {
    Timestamp::from_unix_ms(1_774_650_625_123).plus_ms(ms)
}

fn subject(kind: EventType) -> &'static str {
    match kind {
        EventType::DeployLog | EventType::DeployStatus => "shop/prod/deploys/17",
        EventType::InstanceStatus => "shop/prod/instances/shop-prod-3-0",
        EventType::ProjectStatus | EventType::Audit => "shop",
        EventType::EventAnnotated | EventType::PluginStatus => "plugins/team",
        EventType::DeliveryStatus => "plugins/slack",
        EventType::WatchGap => "engine",
        EventType::System => "server",
    }
}

fn payload(kind: EventType) -> Payload {
    match kind {
        EventType::DeployLog => Payload::DeployLog(DeployLogPayload {
            deploy_id: DeployId(17),
            step: StepName::Gate,
            stream: LogStream::Stdout,
            line: "a \"quoted\" line, größer,\tand \u{1b}[31mred".into(),
            instance: Some("shop-prod-3-0".into()),
        }),
        EventType::DeployStatus => Payload::DeployStatus(Box::new(deploy_status())),
        EventType::InstanceStatus => Payload::InstanceStatus(Box::new(instance_status())),
        EventType::ProjectStatus => Payload::ProjectStatus(ProjectStatusPayload {
            project: "shop".parse().expect("a name"),
            change: ProjectChange::Updated,
            stage: Some(StageName::default()),
        }),
        EventType::EventAnnotated => Payload::EventAnnotated(EventAnnotatedPayload {
            event: EventId(39),
            plugin: "team".into(),
            annotations: BTreeMap::from([("owner".into(), json!({"team": "shop", "pager": 4}))]),
        }),
        EventType::PluginStatus => Payload::PluginStatus(PluginStatusPayload {
            plugin: "team".into(),
            state: "failed".into(),
            previous: Some("running".into()),
            digest: Some("5f".repeat(32)),
            version: Some("1.2.3".into()),
            error: Some("`team.wasm` is of another role than before".into()),
        }),
        EventType::DeliveryStatus => Payload::DeliveryStatus(DeliveryStatusPayload {
            delivery: "d-1".into(),
            pipeline: "alerts".into(),
            sink: "slack".into(),
            status: "dead".into(),
            attempt: 12,
            reason: Some("the target answered 410".into()),
            events: vec![EventId(38), EventId(39)],
        }),
        EventType::WatchGap => Payload::WatchGap(WatchGapPayload {
            from: at(0),
            to: at(2_000),
            reason: "the engine was not reachable".into(),
        }),
        EventType::Audit => Payload::Audit(AuditPayload {
            action: "delete".into(),
            resource: "shop".into(),
            outcome: "done".into(),
        }),
        EventType::System => Payload::System(SystemPayload {
            what: "started".into(),
            message: "tiny-forge 0.1.0 started".into(),
        }),
    }
}

fn image_labels() -> BTreeMap<String, String> {
    BTreeMap::from([
        ("revision".into(), "7d3f1c0a5be94c28".into()),
        ("version".into(), "3.0.1".into()),
    ])
}

fn deploy_status() -> DeployStatusPayload {
    DeployStatusPayload {
        deploy_id: DeployId(17),
        project: "shop".parse().expect("a name"),
        stage: StageName::default(),
        generation: 3,
        status: DeployStatus::Failed,
        image: "shop:3".into(),
        image_labels: image_labels(),
        digest: Some(format!("sha256:{}", "cd".repeat(32))),
        rolls_back_to: Some(DeployId(15)),
        step: Some(StepName::Gate),
        step_status: Some(StepStatus::Failed),
        duration_ms: Some(1_250),
        message: Some("the new instance is not healthy".into()),
        strategy: Some(Strategy::StartFirst),
        plan: Some(Plan {
            strategy: Strategy::StartFirst,
            downtime: false,
            summary: "start the new instance, then stop the old one".into(),
            replaces: Some("ab".repeat(32)),
            address: Some([10, 1, 2, 3].into()),
            loopback: vec![LoopbackPort {
                host: 20_001,
                container: 8_080,
            }],
            warnings: vec!["no health check".into()],
        }),
        progress: Some(PullProgress {
            layers: vec![LayerProgress {
                id: "4f4fb700ef54".into(),
                status: "Downloading".into(),
                current: Some(512),
                total: Some(1_024),
            }],
            current_bytes: 512,
            total_bytes: 1_024,
        }),
        failure: Some(Failure {
            step: StepName::Gate,
            reason: "the process ended by itself".into(),
            exit_code: Some(137),
            oom: true,
            health_output: Some("connection refused".into()),
            log_tail: vec!["out of memory".into()],
        }),
        replaces: Some(DeployId(16)),
        recovered: true,
    }
}

fn instance_status() -> InstanceStatusPayload {
    InstanceStatusPayload {
        instance: "ab".repeat(32),
        name: "shop-prod-3-0".into(),
        image: "shop:3".into(),
        image_labels: image_labels(),
        managed: true,
        project: Some("shop".parse().expect("a name")),
        stage: Some(StageName::default()),
        deploy_id: Some(DeployId(17)),
        generation: Some(3),
        status: InstanceStatus::Exited,
        previous: Some(InstanceStatus::Running),
        health: Health::Unhealthy,
        reason: InstanceReason::Oom,
        exit_code: Some(137),
        oom_killed: true,
        restart_count: 2,
        crash_loop_since: Some(at(0)),
        log_tail: vec!["out of memory".into()],
        planned: false,
        source: InstanceSource::Event,
    }
}
