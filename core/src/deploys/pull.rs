use std::time::{Duration, Instant};

use super::{error::Stop, journal::Journal};
use crate::{
    engine::{Engine, Image, PullUpdate},
    model::{LayerProgress, PullPolicy, PullProgress, Spec, StepName},
};

/// Progress is told at most twice a second.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// Brings the image to the engine, as the policy wants it.
pub(super) async fn pull(engine: &Engine, journal: &Journal, spec: &Spec) -> Result<Image, Stop> {
    let failed = |reason: String| Stop::failed(StepName::Pull, reason);
    let local = engine
        .image(&spec.image)
        .await
        .map_err(|error| failed(error.to_string()))?;
    let needed = match spec.pull {
        PullPolicy::Always => true,
        PullPolicy::Missing => local.is_none(),
        PullPolicy::Never => false,
    };
    if needed {
        journal.say(format!("pulling {}", spec.image)).await?;
        let mut layers = Layers::default();
        let pulled = engine.pull(&spec.image, |update| {
            if let Some(progress) = layers.take(update) {
                journal.progress(progress);
            }
        });
        pulled.await.map_err(|error| failed(error.to_string()))?;
        journal.progress(layers.progress());
    }
    let image = engine
        .image(&spec.image)
        .await
        .map_err(|error| failed(error.to_string()))?;
    image.ok_or_else(|| {
        failed(format!(
            "image `{}` is not on this engine, and the pull policy is `never`: pull it, or choose another policy",
            spec.image
        ))
    })
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
