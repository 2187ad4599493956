//! HTTP: the only user of axum. One file per resource; [`router`] is the table.
//!
//! Handlers parse, call a service with a principal, and turn its answer into
//! JSON. What is not `/api`, `/healthz` or `/readyz` is the dashboard.

mod accept;
mod body;
mod compress;
mod deliveries;
mod deploy_logs;
mod deploys;
mod dry_run;
mod error;
mod events;
pub mod format;
mod guard;
mod instances;
mod list;
mod metrics;
pub mod openapi;
mod path;
mod pipelines;
mod plugins;
mod projects;
mod query;
mod secrets;
mod security_headers;
mod serve;
mod spa;
mod status;
mod stream;
mod subscriptions;
mod trace;

use std::sync::Arc;

use axum::{
    Router,
    http::{Method, Uri},
    middleware,
};
use tokio_util::sync::CancellationToken;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use deploys::{NewDeploy, NewRollback};
pub use error::{ApiError, FieldProblem, Problem};
pub use guard::AllowedHosts;
pub use serve::serve;
pub use subscriptions::Limits;

use crate::{
    deploys::Deploys,
    engine::Engine,
    events::{Bus, Fanout},
    model::Timestamp,
    plugin_host::PluginHost,
    store::Store,
};

use subscriptions::Registry;

/// What handlers need; cheap to clone.
#[derive(Clone)]
pub struct ApiState(Arc<Shared>);

/// What the composition root hands over.
pub struct Parts {
    pub store: Store,
    pub bus: Bus,
    pub fanout: Fanout,
    pub engine: Engine,
    pub deploys: Deploys,
    pub plugins: PluginHost,
    pub public_url: Option<String>,
    pub limits: Limits,
    /// Ends event streams at once when the server stops.
    pub stopping: CancellationToken,
}

pub struct Shared {
    parts: Parts,
    started_at: Timestamp,
    subscriptions: Registry,
}

impl ApiState {
    pub fn new(parts: Parts) -> Self {
        let subscriptions = Registry::new(parts.limits);
        Self(Arc::new(Shared {
            parts,
            started_at: Timestamp::now(),
            subscriptions,
        }))
    }

    fn subscriptions(&self) -> &Registry {
        &self.0.subscriptions
    }
}

impl std::ops::Deref for ApiState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0.parts
    }
}

/// Every route there is.
pub fn router(state: ApiState, hosts: AllowedHosts) -> Router {
    let (router, _) = routes_with_schema().split_for_parts();
    router
        .method_not_allowed_fallback(refuse_method)
        .with_state(state)
        .layer(compress::json())
        .layer(middleware::map_response(security_headers::on))
        // What is embedded is compressed already, and has its headers ready.
        .fallback(spa::serve)
        .layer(middleware::from_fn_with_state(hosts, guard::guard))
}

/// Which there are, axum adds as `Allow`.
async fn refuse_method(method: Method, uri: Uri) -> ApiError {
    ApiError::method_not_allowed(&method, uri.path())
}

fn routes_with_schema() -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(status::get))
        .routes(routes!(status::healthz))
        .routes(routes!(status::readyz))
        .routes(routes!(metrics::get))
        .routes(routes!(projects::list, projects::create))
        .routes(routes!(projects::get, projects::delete))
        .routes(routes!(projects::update_stage))
        .routes(routes!(deploys::create))
        .routes(routes!(deploys::roll_back))
        .routes(routes!(deploys::list))
        .routes(routes!(deploys::get))
        .routes(routes!(deploys::cancel))
        .routes(routes!(deploy_logs::list))
        .routes(routes!(deploy_logs::text))
        .routes(routes!(instances::list))
        .routes(routes!(instances::get))
        .routes(routes!(events::list))
        .routes(routes!(events::get))
        .routes(routes!(trace::get))
        .routes(routes!(subscriptions::list))
        .routes(routes!(subscriptions::change))
        .routes(routes!(plugins::list))
        .routes(routes!(plugins::get))
        .routes(routes!(plugins::test))
        .routes(routes!(plugins::replay))
        .routes(routes!(plugins::grant))
        .routes(routes!(plugins::resume))
        .routes(routes!(secrets::list))
        .routes(routes!(secrets::put, secrets::delete))
        .routes(routes!(dry_run::plugin))
        .routes(routes!(pipelines::list))
        .routes(routes!(dry_run::pipeline))
        .routes(routes!(deliveries::list))
        .routes(routes!(deliveries::get))
        .routes(routes!(deliveries::replay))
        .routes(routes!(openapi::get))
}
