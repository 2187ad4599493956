//! Instances that the data plane leads to, their addresses, and where it is asked for them.

use std::{collections::BTreeSet, net::Ipv4Addr};

use rusqlite::{Row, ToSql};

use super::read::lane_of;
use crate::{
    model::{DomainSpec, HeldPorts, Lane, LoopbackPort, PortSpec},
    store::{Reader, SealedSpec, StoreError},
};

/// An instance that has an address of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub lane: Lane,
    pub generation: i64,
    pub ports: Vec<PortSpec>,
    pub domains: Vec<DomainSpec>,
    /// Where its domains lead.
    pub loopback: Vec<LoopbackPort>,
    pub address: Ipv4Addr,
}

impl Held {
    /// As it is told.
    pub fn into_ports(mut self) -> HeldPorts {
        self.ports.retain(PortSpec::can_be_held);
        HeldPorts {
            ports: self.ports,
            domains: self.domains,
        }
    }
}

const COLUMNS: &str = "SELECT d.project, d.stage, d.generation, d.spec, d.plan ->> 'address',
        coalesce(d.plan -> 'loopback', '[]')
    FROM deploys AS d";

impl Reader<'_> {
    /// Whoever serves.
    pub fn held(&self) -> Result<Vec<Held>, StoreError> {
        self.held_where(
            "JOIN lanes ON lanes.project = d.project AND lanes.stage = d.stage
                AND lanes.instance = d.instance
             WHERE d.plan ->> 'address' IS NOT NULL ORDER BY d.id",
            &[],
        )
    }

    /// By container id; none if it holds its ports by itself. Asked for each lane that is
    /// shown: the newest deploys of the lane are looked at first.
    pub fn held_as(&self, lane: &Lane, instance: &str) -> Result<Option<Held>, StoreError> {
        let wanted = "WHERE d.project = ?1 AND d.stage = ?2 AND d.instance = ?3
                AND d.plan ->> 'address' IS NOT NULL
             ORDER BY d.id DESC LIMIT 1";
        let (project, stage) = (lane.project.as_str(), lane.stage.as_str());
        Ok(self
            .held_where(wanted, &[&project, &stage, &instance])?
            .pop())
    }

    /// The address that was given last, and all that are not to be given again: of
    /// instances that exist, and of deploys that have not ended.
    pub fn addresses(&self) -> Result<(Option<Ipv4Addr>, BTreeSet<Ipv4Addr>), StoreError> {
        let mut statement = self.sql().prepare_cached(
            "SELECT plan ->> 'address', ended_at IS NULL OR instance IN (SELECT id FROM instances)
             FROM deploys WHERE plan ->> 'address' IS NOT NULL ORDER BY id DESC",
        )?;
        let mut rows = statement.query([])?;
        let (mut last, mut given) = (None, BTreeSet::new());
        while let Some(row) = rows.next()? {
            let address = address(row, 0)?;
            last = last.or(Some(address));
            if row.get(1)? {
                given.insert(address);
            }
        }
        Ok((last, given))
    }

    /// Every port on loopback that was given to a lane, the newest first.
    pub fn loopback_ports(&self) -> Result<Vec<(Lane, LoopbackPort)>, StoreError> {
        let mut statement = self.sql().prepare_cached(
            "SELECT project, stage, port.value ->> 'host', port.value ->> 'container'
             FROM deploys, json_each(deploys.plan, '$.loopback') AS port
             GROUP BY 1, 2, 3, 4 ORDER BY max(deploys.id) DESC",
        )?;
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let port = LoopbackPort {
                host: row.get(2)?,
                container: row.get(3)?,
            };
            found.push((lane_of(row, 0, 1)?, port));
        }
        Ok(found)
    }

    fn held_where(&self, which: &str, values: &[&dyn ToSql]) -> Result<Vec<Held>, StoreError> {
        let mut statement = self.sql().prepare_cached(&format!("{COLUMNS} {which}"))?;
        let mut rows = statement.query(values)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let spec: SealedSpec = serde_json::from_str(&row.get::<_, String>(3)?)?;
            let spec = spec.masked();
            found.push(Held {
                lane: lane_of(row, 0, 1)?,
                generation: row.get(2)?,
                ports: spec.ports,
                domains: spec.domains,
                loopback: serde_json::from_str(&row.get::<_, String>(5)?)?,
                address: address(row, 4)?,
            });
        }
        Ok(found)
    }
}

fn address(row: &Row<'_>, column: usize) -> Result<Ipv4Addr, StoreError> {
    let text: String = row.get(column)?;
    let parsed = text.parse();
    parsed.map_err(|_| StoreError::Damaged(format!("`{text}` is no address of an instance")))
}
