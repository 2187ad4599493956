//! Pure types: what the words of the project mean. Depends on nothing of ours.
//!
//! These are also the wire types: JSON, OpenAPI schema and journal frames are
//! derived from them, so there is one definition of each shape.

mod control;
mod delivery;
mod deploy;
mod domain;
mod dry_run;
mod event;
mod health_spec;
mod image_name;
mod instance;
mod metrics;
mod names;
mod payload;
mod plugin;
mod principal;
mod project;
mod secret;
mod spec;
mod status;
mod timestamp;
mod trace;

pub use control::{Bookmark, Hello, Reset, ResetReason};
pub use delivery::{
    Attempt, AttemptOutcome, Delivery, DeliveryDetail, DeliveryState, Replayed, TestOutcome,
    TestRequest,
};
pub use deploy::{
    Deploy, DeployPreview, DeploySummary, Failure, Plan, SpecChange, Step, StepName, StepStatus,
    Strategy,
};
pub use domain::{DomainSpec, LoopbackPort};
pub use dry_run::{
    DryAnswer, DryRun, DryRunDelivery, DryRunEvent, DryRunHeader, DryRunOutcome, DryRunPlugin,
    DryRunRequest, DryRunRequestMade, DryRunSummary,
};
pub use event::{
    Actor, ActorKind, Event, EventId, EventType, NewEvent, Position, Severity, Subject,
};
pub use health_spec::{DockerHealth, HealthSpec, HttpProbe, TcpProbe};
pub use image_name::{DOCKER_HUB, ImageName};
pub use instance::{Health, Instance, InstanceStatus, PublishedPort};
pub use metrics::{Calls, DeliveryCounts, PluginMemory};
pub use names::{DeployId, InvalidName, Lane, ProjectName, StageName};
pub use payload::{
    AuditPayload, DeliveryStatusPayload, DeployLogPayload, DeployStatusPayload,
    EventAnnotatedPayload, InstanceReason, InstanceSource, InstanceStatusPayload, LayerProgress,
    LogStream, Payload, PluginStatusPayload, ProjectChange, ProjectStatusPayload, PullProgress,
    SystemPayload, WatchGapPayload,
};
pub use plugin::{
    Asked, Batch, Granted, GrantedNow, LastFault, OnError, Pipeline, PipelineState, PipelineStep,
    Plugin, PluginLogLevel, PluginLogLine, PluginRole, PluginState, RecentDrop, SinkQueue,
    Throttle, When,
};
pub use principal::Principal;
pub use project::{HeldPorts, LaneView, Project};
pub use secret::{InvalidSecretName, Secret, SecretName};
pub use spec::{
    EnvEntry, Limits, PortSpec, Protocol, PullPolicy, RegistryAuth, RestartPolicy, Routing, Spec,
    SpecError, VolumeSpec,
};
pub use status::DeployStatus;
pub use timestamp::Timestamp;
pub use trace::{PipelineTrace, StepDecision, StepTrace, Trace, TraceOutcome};
