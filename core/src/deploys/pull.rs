use std::time::{Duration, Instant};

use super::{error::Stop, run::Run};
use crate::{
    engine::{EngineError, Image, PullUpdate, tagged},
    model::{ImageName, LayerProgress, PullPolicy, PullProgress, StepName},
    store::Rollback,
};

/// Progress is told at most twice a second.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// An image that is on the engine, and what a container of it is made of.
pub(super) struct Pulled {
    pub(super) image: Image,
    pub(super) reference: String,
}

/// Brings the image to the engine, as the policy wants it.
pub(super) async fn pull(run: &Run) -> Result<Pulled, Stop> {
    if let Some(rollback) = &run.deploy.rollback {
        return bring_back(run, rollback).await;
    }
    let (engine, spec) = (&run.tools.engine, &run.spec);
    let local = engine.image(&spec.image).await.map_err(failed)?;
    let needed = match spec.pull {
        PullPolicy::Always => true,
        PullPolicy::Missing => local.is_none(),
        PullPolicy::Never => false,
    };
    let reference = if needed {
        named_image(run).await?
    } else {
        spec.image.clone()
    };
    let image = engine.image(&reference).await.map_err(failed)?;
    let image = image.ok_or_else(|| {
        Stop::failed(StepName::Pull, format!(
            "image `{}` is not on this engine, and the pull policy is `never`: pull it, or choose another policy",
            spec.image
        ))
    })?;
    Ok(Pulled { image, reference })
}

/// What its name stands for in the registry now, and nothing that comes later: how the
/// engine finds exactly that.
async fn named_image(run: &Run) -> Result<String, Stop> {
    let (engine, name) = (&run.tools.engine, &run.spec.image);
    // A registry that does not tell is asked for the name alone; it says why, if it must.
    let digest = engine.resolve(name, run.login(name).await).await;
    let Some(pinned) = digest.ok().flatten().and_then(|it| pinned(name, &it)) else {
        from_registry(run, name).await?;
        return Ok(name.clone());
    };
    from_registry(run, &pinned).await?;
    // The engine would not know it by its name else.
    engine.tag(&pinned, name).await.map_err(failed)?;
    Ok(pinned)
}

/// Both name and digest; none for a name that has one.
fn pinned(name: &str, digest: &str) -> Option<String> {
    let (repository, tag) = tagged(name);
    (!name.contains('@')).then(|| format!("{repository}:{tag}@{digest}"))
}

/// What an earlier deploy ran: it is on the engine still, but if somebody cleared it away.
async fn bring_back(run: &Run, rollback: &Rollback) -> Result<Pulled, Stop> {
    let engine = &run.tools.engine;
    let pinned = rollback.digest.as_ref().map(|digest| {
        let name = repository(&run.spec.image);
        format!("{name}@{digest}")
    });
    let known = [
        Some(&run.spec.image),
        pinned.as_ref(),
        rollback.image_id.as_ref(),
    ];
    for reference in known.into_iter().flatten() {
        let found = engine.image(reference).await.map_err(failed)?;
        if let Some(image) = found.filter(|it| Some(&it.id) == rollback.image_id.as_ref()) {
            let reference = reference.clone();
            return Ok(Pulled { image, reference });
        }
    }
    let Some(reference) = pinned else {
        let reason = format!(
            "the image of deploy `{}` is no longer on this engine, and it never came from a registry",
            rollback.to
        );
        return Err(Stop::failed(StepName::Pull, reason));
    };
    from_registry(run, &reference).await?;
    let image = engine.image(&reference).await.map_err(failed)?;
    let gone = || {
        Stop::failed(
            StepName::Pull,
            format!("image `{reference}` vanished again"),
        )
    };
    Ok(Pulled {
        image: image.ok_or_else(gone)?,
        reference,
    })
}

async fn from_registry(run: &Run, reference: &str) -> Result<(), Stop> {
    let login = run.login(reference).await;
    let _turn = match run.tools.pulls.try_acquire() {
        Ok(turn) => turn,
        Err(_) => {
            run.journal
                .say("waiting: other images are pulled first")
                .await?;
            let turn = run.tools.pulls.acquire().await;
            turn.map_err(|_| Stop::failed(StepName::Pull, "the server stops"))?
        }
    };
    run.journal.say(format!("pulling {reference}")).await?;
    let mut layers = Layers::default();
    let pulled = run.tools.engine.pull(reference, login, |update| {
        if let Some(progress) = layers.take(update) {
            run.journal.progress(progress);
        }
    });
    pulled.await.map_err(|error| refused(&error, reference))?;
    run.journal.progress(layers.progress());
    Ok(())
}

/// Its name without tag and digest.
pub(super) fn repository(reference: &str) -> &str {
    tagged(reference.split('@').next().unwrap_or(reference)).0
}

/// With what to do where the registry wants to know who asks.
fn refused(error: &EngineError, reference: &str) -> Stop {
    let mut reason = error.to_string();
    let lower = reason.to_lowercase();
    let asks_who = ["denied", "unauthorized", "authentication", "no basic auth"];
    if asks_who.iter().any(|word| lower.contains(word)) {
        let registry = ImageName::parse(reference).registry;
        reason += &format!(
            ": give the project `registry_auth`, or log in to {registry} with `docker login` as the user of this server"
        );
    }
    Stop::failed(StepName::Pull, reason)
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "the shape that `map_err` takes"
)]
fn failed(error: EngineError) -> Stop {
    Stop::failed(StepName::Pull, error.to_string())
}

#[derive(Default)]
struct Layers {
    layers: Vec<LayerProgress>,
    told: Option<Instant>,
}

impl Layers {
    /// The whole progress, when it is time to tell it.
    fn take(&mut self, update: PullUpdate) -> Option<PullProgress> {
        // The image as a whole has no progress of its own.
        let is_layer =
            update.layer.len() == 12 && update.layer.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_layer {
            return None;
        }
        let known = self
            .layers
            .iter()
            .position(|layer| layer.id == update.layer);
        let place = known.unwrap_or_else(|| {
            self.layers.push(LayerProgress {
                id: update.layer,
                status: String::new(),
                current: None,
                total: None,
            });
            self.layers.len() - 1
        });
        let layer = &mut self.layers[place];
        layer.status = update.status;
        layer.total = update.total_bytes.or(layer.total);
        let done = matches!(
            layer.status.as_str(),
            "Pull complete" | "Already exists" | "Download complete"
        );
        layer.current = if done {
            layer.total
        } else {
            update.current_bytes.or(layer.current)
        };
        if self.told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
            return None;
        }
        self.told = Some(Instant::now());
        Some(self.progress())
    }

    fn progress(&self) -> PullProgress {
        PullProgress {
            current_bytes: self.layers.iter().filter_map(|layer| layer.current).sum(),
            total_bytes: self.layers.iter().filter_map(|layer| layer.total).sum(),
            layers: self.layers.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::repository;

    #[test]
    fn a_repository_is_a_name_without_tag_and_digest() {
        for (reference, expected) in [
            ("shop", "shop"),
            ("shop:1.4", "shop"),
            (
                "registry.example:5000/team/shop",
                "registry.example:5000/team/shop",
            ),
            (
                "registry.example:5000/team/shop:1",
                "registry.example:5000/team/shop",
            ),
            ("team/shop:1@sha256:00", "team/shop"),
        ] {
            assert_eq!(repository(reference), expected);
        }
    }
}
