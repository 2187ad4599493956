//! Whether the new instance is reached from outside, once its ports and domains lead to it.

use std::{
    error::Error,
    net::{Ipv6Addr, SocketAddr},
};

use futures_util::future::try_join_all;
use tokio::time::{Duration, Instant, sleep};

use super::{probe, run::Run};
use crate::{model::Plan, store::StoreError};

/// For a certificate that is asked for now. It may come later too.
const CERTIFICATE_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Run {
    /// The ports are where everybody finds them, and the app answers there.
    pub(super) async fn confirm(&self, plan: &Plan) -> Result<(), String> {
        let routes = self.routes_to_candidate(plan);
        let held = self.tools.data_plane.held().await;
        let held = held.map_err(|error| error.to_string())?;
        for wanted in &routes {
            let status = held.iter().find(|it| it.listen == wanted.listen);
            match status.map(|it| (&it.route, &it.problem)) {
                Some((Some(route), None)) if route == wanted => {}
                Some((_, Some(problem))) => return Err(problem.clone()),
                _ => return Err(format!("{} does not lead to it", wanted.listen)),
            }
        }
        if let Some(http) = &self.spec.health.http
            && let Some(public) = routes.iter().find(|it| it.upstream.port() == http.port)
        {
            probe::http_at(reachable(public.listen), http).await?;
        }
        let domains = self.spec.domains.iter();
        let asked = try_join_all(domains.map(|domain| self.confirm_domain(&domain.name)));
        asked.await.map(drop).map_err(|error| error.to_string())
    }

    /// Without a certificate it is not served yet: a name may not lead to this host until
    /// the app is seen to run. That is said, and no failure.
    async fn confirm_domain(&self, name: &str) -> Result<(), StoreError> {
        let deadline = Instant::now() + CERTIFICATE_WITHIN;
        let error = loop {
            match self.tools.caddy.serves(name).await {
                Ok(()) => return Ok(()),
                Err(_) if Instant::now() < deadline => sleep(LOOK_EVERY).await,
                Err(error) => break error,
            }
        };
        let (why, log) = (root_cause(&error), self.tools.caddy.log());
        let line = format!(
            "warning: https://{name} is not served yet: {why}. Its name has to lead to this \
             host; Caddy goes on asking for a certificate, and says in {} what is wrong",
            log.display()
        );
        self.journal.say(line).await
    }
}

fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// From this host.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let port = listen.port();
    match listen {
        SocketAddr::V4(it) if it.ip().is_unspecified() => ([127, 0, 0, 1], port).into(),
        SocketAddr::V6(it) if it.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, port).into(),
        named => named,
    }
}
