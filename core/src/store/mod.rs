//! The one SQLite file and its one writer thread.
//!
//! A state change and its events are one transaction: `write` hands a closure
//! to the writer thread, which runs it with a [`Tx`], commits it together with
//! whatever else is waiting, hands the committed events to the bus, and only
//! then answers. Each area has its typed statements in a file of its own; no
//! other module speaks SQL.

mod backup;
mod checkpoint;
mod damage;
mod deliveries;
mod deploys;
mod error;
mod handle;
mod history;
mod instances;
mod journal;
mod kept;
mod keyring;
mod lock;
mod migrate;
mod pipelines;
mod plugin_values;
mod projects;
mod reader;
mod restore;
mod retention;
mod rotate;
mod sealed_spec;
mod secrets;
mod select;
mod throttle;
mod traces;
mod witness;
mod writer;

pub use backup::{BackupError, Copied, backup};
pub use damage::run as run_check;
pub use deliveries::{
    AfterAttempt, AttemptRecord, DeliveryQuery, NewDelivery, QueuedDelivery, REPLAYED_AT_ONCE,
    Replay,
};
pub use deploys::{DeployQuery, Deployed, Held, NewDeploy, OpenDeploy, Rollback};
pub use error::StoreError;
pub use handle::{RETRY_STORE, Receipt, Store, StoreThreads};
pub use journal::{JournalPage, PageRequest};
pub use kept::{Amount, Kept};
pub use keyring::{Keyring, SealError};
pub use lock::{DataDir, DataDirError};
pub use pipelines::{NewDrop, PipelineProgress};
pub use plugin_values::PluginWrite;
pub use projects::LaneRow;
pub use reader::Reader;
pub use restore::{Restored, restore};
pub use retention::{Days, Retention, Trimmer};
pub use rotate::{RotateError, finish_rotation, rotate_key};
pub use sealed_spec::{SealedSpec, SecretField};
pub use secrets::{SealedSecrets, SecretError, StoredSecret};
pub use throttle::{ONCE_KEYS_MAX, PassedEvent};
pub use traces::NewTraces;
pub use writer::Tx;
