use std::{ffi::OsStr, sync::atomic::Ordering};

use serde_json::Value;
use tokio::sync::MutexGuard;

use super::{CaddyError, Shared, Sites, UNIT, config};
use crate::{
    failpoint::{self, Failpoint},
    routing::detached::{Detached, unit},
};

/// The right to change sites.
pub(in crate::routing) struct Turn<'a> {
    pub(super) caddy: &'a Shared,
    pub(super) _guard: MutexGuard<'a, ()>,
}

impl Turn<'_> {
    /// As they were last applied.
    pub(in crate::routing) fn sites(&self) -> Sites {
        self.caddy.home.sites()
    }

    /// These and no others, whatever it does now; without any it ends.
    pub(in crate::routing) async fn apply(&self, mut sites: Sites) -> Result<(), CaddyError> {
        let Shared {
            settings,
            home,
            is_used,
            was_restarted,
            ..
        } = self.caddy;
        sites.retain(|_, sites| !sites.is_empty());
        let admin = home.admin();
        is_used.store(!sites.is_empty(), Ordering::Relaxed);
        if sites.is_empty() {
            home.stop().await?;
            return Ok(home.forget()?);
        }
        let wanted = config::config(settings, home, &sites);
        if admin.runs().await {
            if admin.config().await? != wanted {
                admin.load(&wanted).await?;
                failpoint::reached_by_deploy(Failpoint::DeployActed);
            }
            home.write(&wanted)?;
        } else {
            let ran = home.has_sites();
            home.write(&wanted)?;
            failpoint::reached_by_deploy(Failpoint::DeployWritten);
            self.start(&wanted).await?;
            failpoint::reached_by_deploy(Failpoint::DeployActed);
            was_restarted.fetch_or(ran, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn start(&self, wanted: &Value) -> Result<(), CaddyError> {
        let Shared {
            settings,
            home,
            launch,
            ..
        } = self.caddy;
        let arguments: [&OsStr; 6] = [
            "proxy".as_ref(),
            "domains".as_ref(),
            "--caddy".as_ref(),
            settings.program.as_ref(),
            "--data".as_ref(),
            launch.data.as_ref(),
        ];
        let process = Detached {
            unit: unit(UNIT, &launch.data),
            description: "Domains of tiny-forge",
            program: &launch.program,
            arguments: arguments.map(OsStr::to_owned).into(),
            log: home.output(),
            under_systemd: launch.under_systemd,
        };
        home.forget_output();
        let admin = home.admin();
        // Its socket is there before its ports are.
        let serves = || async { admin.config().await.is_ok_and(|it| it == *wanted) };
        let started = process.start(serves).await;
        started.map_err(|why| CaddyError::NotStarted(home.last_words().unwrap_or(why)))
    }
}
