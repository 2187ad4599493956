//! What becomes of a wish to deploy: a place in the queue of its lane, or a refusal.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    DeployError, Deploys,
    journal::Head,
    service::{Refusable, end_queued},
};
use crate::{
    model::{Deploy, DeployId, DeployStatus, Lane, Principal, Severity},
    store::{Deployed, LaneRow, NewDeploy, OpenDeploy, Rollback, Tx},
};

/// What is wanted where the lane has a deploy under way already.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum IfBusy {
    /// It waits for its turn.
    #[default]
    Queue,
    /// It takes the place of all that wait and of the one under way, which is cancelled.
    Supersede,
    /// It is refused.
    Reject,
}

/// A deploy that somebody wants.
#[derive(Debug, Clone)]
pub struct Wish {
    pub lane: Lane,
    /// Instead of the lane's own.
    pub image: Option<String>,
    pub if_busy: IfBusy,
}

/// The deploy that was given a place, and those that were not yet through and lost theirs.
struct Admitted {
    id: DeployId,
    interrupted: Vec<DeployId>,
}

impl Deploys {
    /// Queues a deploy of what the lane's specification says now; an image of its own
    /// replaces the lane's, for good if the deploy succeeds. The same wish twice, while
    /// the first waits, is one deploy.
    pub async fn create_deploy(
        &self,
        principal: &Principal,
        wish: Wish,
    ) -> Result<Deploy, DeployError> {
        let actor = principal.actor();
        let Wish {
            lane,
            image,
            if_busy,
        } = wish;
        let admitted = self.write(move |tx| {
            let row = match known(tx, &lane)? {
                Ok(row) => row,
                Err(refused) => return Ok(Err(refused)),
            };
            let lane_was = image.as_ref().map(|_| row.spec.fingerprint());
            let lane_was = lane_was.transpose()?;
            let spec = match image {
                Some(image) => row.spec.with_image(image),
                None => row.spec,
            };
            let problems = spec.masked().problems();
            if !problems.is_empty() {
                return Ok(Err(DeployError::Invalid(problems)));
            }
            let new = NewDeploy {
                generation: 0,
                lane,
                actor,
                spec,
                rollback: None,
                lane_was,
            };
            admit(tx, new, if_busy)
        });
        self.admitted(admitted.await?).await
    }

    /// Queues a deploy of what an earlier one ran, image and configuration; of the one
    /// before the one that serves, if none is named.
    pub async fn roll_back(
        &self,
        principal: &Principal,
        lane: Lane,
        to: Option<DeployId>,
        if_busy: IfBusy,
    ) -> Result<Deploy, DeployError> {
        let actor = principal.actor();
        let admitted = self.write(move |tx| {
            let (to, earlier, lane_was) = match earlier(tx, &lane, to)? {
                Ok(found) => found,
                Err(refused) => return Ok(Err(refused)),
            };
            let new = NewDeploy {
                generation: 0,
                lane,
                actor,
                spec: earlier.spec,
                rollback: Some(Rollback {
                    to,
                    image_id: earlier.image_id,
                    digest: earlier.digest,
                }),
                lane_was: Some(lane_was),
            };
            admit(tx, new, if_busy)
        });
        self.admitted(admitted.await?).await
    }

    async fn admitted(&self, admitted: Admitted) -> Result<Deploy, DeployError> {
        for id in admitted.interrupted {
            self.interrupt(id);
        }
        self.wake();
        self.deploy(admitted.id).await
    }
}

/// One transaction: whoever loses a place and whoever gets one.
fn admit(tx: &mut Tx<'_>, mut new: NewDeploy, if_busy: IfBusy) -> Refusable<Admitted> {
    let open = tx.open_deploys_of(&new.lane)?;
    let mut interrupted = Vec::new();
    match if_busy {
        IfBusy::Queue => {
            let same = |it: &&OpenDeploy| {
                it.status == DeployStatus::Queued
                    && it.spec == new.spec
                    && it.rollback == new.rollback
            };
            if let Some(waiting) = open.last().filter(same) {
                let id = waiting.id;
                return Ok(Ok(Admitted { id, interrupted }));
            }
        }
        IfBusy::Reject => {
            if let Some(first) = open.first() {
                return Ok(Err(DeployError::Conflict(format!(
                    "deploy `{}` of {} has not ended: wait for it, cancel it, or let this one \
                     queue or supersede with `if_busy`",
                    first.id, new.lane
                ))));
            }
        }
        IfBusy::Supersede => {
            let reason = "superseded by a newer deploy";
            for deploy in open {
                match deploy.status {
                    DeployStatus::Queued => {
                        if let Some(known) = tx.deploy(deploy.id)? {
                            end_queued(tx, &known.summary, reason)?;
                        }
                    }
                    // It serves, and lets whoever waits go on: back to the old one and on
                    // to a third would be one switch more.
                    DeployStatus::Baking | DeployStatus::Retiring => {}
                    _ => {
                        tx.request_cancel(deploy.id, reason)?;
                        interrupted.push(deploy.id);
                    }
                }
            }
        }
    }
    new.generation = tx.next_generation(&new.lane)?;
    let id = tx.insert_deploy(&new)?;
    let head = Head {
        id,
        generation: new.generation,
        image: new.spec.image().to_owned(),
        lane: new.lane,
        actor: new.actor,
        rolls_back_to: new.rollback.map(|it| it.to),
    };
    let first = tx.publish(head.status_event(Severity::Info, DeployStatus::Queued, |_| {}))?;
    tx.set_first_event(id, first)?;
    Ok(Ok(Admitted { id, interrupted }))
}

pub(super) fn known(tx: &Tx<'_>, lane: &Lane) -> Refusable<LaneRow> {
    if let Some(row) = tx.lane(lane)? {
        return Ok(Ok(row));
    }
    let has_project = tx.project(&lane.project)?.is_some();
    Ok(Err(if has_project {
        DeployError::NotFound {
            kind: "stage",
            name: lane.to_string(),
        }
    } else {
        DeployError::NotFound {
            kind: "project",
            name: lane.project.to_string(),
        }
    }))
}

/// What to go back to, and what the lane says now.
fn earlier(
    tx: &Tx<'_>,
    lane: &Lane,
    to: Option<DeployId>,
) -> Refusable<(DeployId, Deployed, String)> {
    let row = match known(tx, lane)? {
        Ok(row) => row,
        Err(refused) => return Ok(Err(refused)),
    };
    let to = match to {
        Some(to) => Some(to),
        // Where nobody serves, the last that did.
        None => tx.succeeded_before(lane, row.generation.unwrap_or(i64::MAX))?,
    };
    let Some(to) = to else {
        return Ok(Err(DeployError::Conflict(format!(
            "{lane} has no earlier deploy to go back to"
        ))));
    };
    let found = tx.deployed(to)?.filter(|deployed| deployed.lane == *lane);
    Ok(match found {
        Some(deployed) => Ok((to, deployed, row.spec.fingerprint()?)),
        None => Err(DeployError::Conflict(format!(
            "deploy `{to}` did not bring {lane} to serve: name one of its deploys that succeeded"
        ))),
    })
}
