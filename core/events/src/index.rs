use std::{collections::HashMap, hash::Hash};

use foldhash::fast::RandomState;
use tiny_forge_model::{DeployId, EventType};

use crate::{Filter, FrameParts};

/// Finds the filters that let an event through without asking each of them.
///
/// Equal filters are one. Each is kept under the names of the most selective
/// list that it has, so an event is looked up by the few names that it carries;
/// what is found there is asked in full.
#[derive(Debug, Default)]
pub struct FilterIndex {
    filters: Vec<Interned>,
    numbers: HashMap<Filter, usize>,
    free: Vec<usize>,
    by_deploy: Map<DeployId>,
    by_instance: Map<String>,
    by_stage: Map<String>,
    by_project: Map<String>,
    /// Without names at all.
    general: Vec<usize>,
    /// By the deploys whose log lines they add.
    by_added_log: Map<DeployId>,
}

/// Numbers of the filters that name something. Hashed for each event, so quickly.
type Map<K> = HashMap<K, Vec<usize>, RandomState>;

#[derive(Debug)]
struct Interned {
    filter: Filter,
    users: usize,
}

/// Where a filter is kept.
enum Key {
    Deploys,
    Instances,
    Projects,
    Stages,
    General,
}

impl FilterIndex {
    /// The filter's number: small, and the same for all who ask for it. To be
    /// given back with [`Self::release`].
    pub fn intern(&mut self, filter: &Filter) -> usize {
        if let Some(&number) = self.numbers.get(filter) {
            self.filters[number].users += 1;
            return number;
        }
        let interned = Interned {
            filter: filter.clone(),
            users: 1,
        };
        let number = match self.free.pop() {
            Some(number) => {
                self.filters[number] = interned;
                number
            }
            None => {
                self.filters.push(interned);
                self.filters.len() - 1
            }
        };
        self.numbers.insert(filter.clone(), number);
        self.add(filter, number);
        number
    }

    pub fn release(&mut self, number: usize) {
        let interned = &mut self.filters[number];
        interned.users -= 1;
        if interned.users > 0 {
            return;
        }
        let filter = std::mem::take(&mut interned.filter);
        self.remove(&filter, number);
        self.numbers.remove(&filter);
        self.free.push(number);
    }

    pub fn filter(&self, number: usize) -> &Filter {
        &self.filters[number].filter
    }

    /// Calls `found` once with the number of each filter that lets it through.
    pub fn matching(&self, parts: &FrameParts<'_>, mut found: impl FnMut(usize)) {
        let candidates = [
            named(&self.by_project, parts.project),
            named(&self.by_stage, parts.stage),
            named(&self.by_instance, parts.instance),
            numbered(&self.by_deploy, parts.deploy),
            &self.general,
        ];
        for &number in candidates.into_iter().flatten() {
            if self.filters[number].filter.selects(parts) {
                found(number);
            }
        }
        if parts.kind == EventType::DeployLog {
            for &number in numbered(&self.by_added_log, parts.deploy) {
                if !self.filters[number].filter.selects(parts) {
                    found(number);
                }
            }
        }
    }

    fn add(&mut self, filter: &Filter, number: usize) {
        match key(filter) {
            Key::Deploys => put(&mut self.by_deploy, &filter.deploys, number),
            Key::Instances => put(&mut self.by_instance, &filter.instances, number),
            Key::Projects => put(&mut self.by_project, &filter.projects, number),
            Key::Stages => put(&mut self.by_stage, &filter.stages, number),
            Key::General => self.general.push(number),
        }
        put(&mut self.by_added_log, &filter.logs, number);
    }

    fn remove(&mut self, filter: &Filter, number: usize) {
        match key(filter) {
            Key::Deploys => take(&mut self.by_deploy, &filter.deploys, number),
            Key::Instances => take(&mut self.by_instance, &filter.instances, number),
            Key::Projects => take(&mut self.by_project, &filter.projects, number),
            Key::Stages => take(&mut self.by_stage, &filter.stages, number),
            Key::General => self.general.retain(|one| *one != number),
        }
        take(&mut self.by_added_log, &filter.logs, number);
    }
}

fn key(filter: &Filter) -> Key {
    if !filter.deploys.is_empty() {
        Key::Deploys
    } else if !filter.instances.is_empty() {
        Key::Instances
    } else if !filter.projects.is_empty() {
        Key::Projects
    } else if !filter.stages.is_empty() {
        Key::Stages
    } else {
        Key::General
    }
}

fn named<'m>(map: &'m Map<String>, name: Option<&str>) -> &'m [usize] {
    let found = name.filter(|_| !map.is_empty());
    found
        .and_then(|name| map.get(name))
        .map_or(&[], |found| found)
}

fn numbered(map: &Map<DeployId>, deploy: Option<DeployId>) -> &[usize] {
    let found = deploy.filter(|_| !map.is_empty());
    found
        .and_then(|deploy| map.get(&deploy))
        .map_or(&[], |found| found)
}

fn put<K: Hash + Eq + Clone>(map: &mut Map<K>, keys: &[K], number: usize) {
    for key in keys {
        let numbers = map.entry(key.clone()).or_default();
        // A list may name a thing twice.
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
}

fn take<K: Hash + Eq>(map: &mut Map<K>, keys: &[K], number: usize) {
    for key in keys {
        if let Some(numbers) = map.get_mut(key) {
            numbers.retain(|one| *one != number);
            if numbers.is_empty() {
                map.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tiny_forge_model::{DeployId, EventId, EventType, Severity, Timestamp};

    use super::FilterIndex;
    use crate::{Filter, FrameParts};

    const P: [&str; 3] = ["p0", "p1", "p2"];
    const S: [&str; 3] = ["s0", "s1", "s2"];
    const I: [&str; 3] = ["i0", "i1", "i2"];

    fn name(names: [&'static str; 3], seed: u64) -> &'static str {
        names[seed as usize % 3]
    }

    /// Spreads a number over all bits.
    fn mix(seed: u64) -> u64 {
        let mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed ^ (mixed >> 29)
    }

    fn some<T>(seed: u64, one: impl Fn(u64) -> T) -> Vec<T> {
        (0..seed % 3).map(|n| one(seed / 3 + n)).collect()
    }

    fn any_filter(seed: u64) -> Filter {
        let part = |n: u64| mix(seed * 11 + n) >> 7;
        Filter {
            types: some(part(0), |n| {
                EventType::ALL[n as usize % EventType::ALL.len()]
            }),
            projects: some(part(1), |n| name(P, n).to_owned()),
            stages: some(part(2), |n| name(S, n).to_owned()),
            instances: some(part(3), |n| name(I, n).to_owned()),
            deploys: some(part(4), |n| DeployId(n as i64 % 3)),
            min_severity: some(part(5), |n| Severity::ALL[n as usize % 5]).pop(),
            logs: some(part(6), |n| DeployId(n as i64 % 3)),
        }
    }

    fn any_parts(seed: u64) -> FrameParts<'static> {
        let part = |n: u64| mix(seed * 13 + n) >> 9;
        FrameParts {
            id: EventId(1),
            kind: EventType::ALL[part(0) as usize % EventType::ALL.len()],
            severity: Severity::ALL[part(1) as usize % 5],
            time: Timestamp::now(),
            project: some(part(2), |n| name(P, n)).pop(),
            stage: some(part(3), |n| name(S, n)).pop(),
            instance: some(part(4), |n| name(I, n)).pop(),
            deploy: some(part(5), |n| DeployId(n as i64 % 3)).pop(),
        }
    }

    #[test]
    fn the_index_finds_exactly_what_asking_every_filter_finds() {
        let mut index = FilterIndex::default();
        let filters: Vec<Filter> = (0..400).map(any_filter).collect();
        let numbers: Vec<usize> = filters.iter().map(|filter| index.intern(filter)).collect();
        // Some come and go: their places are used again.
        for gone in numbers.iter().step_by(3) {
            index.release(*gone);
        }
        let kept = filters.iter().zip(&numbers).enumerate();
        let kept: Vec<_> = kept.filter(|(place, _)| place % 3 != 0).collect();
        let mut hits = 0;
        for seed in 0..2_000 {
            let parts = any_parts(seed);
            let mut found = Vec::new();
            index.matching(&parts, |number| found.push(number));
            let mut expected: Vec<usize> = kept
                .iter()
                .filter(|(_, (filter, _))| filter.matches(&parts))
                .map(|(_, (_, number))| **number)
                .collect();
            expected.sort_unstable();
            expected.dedup();
            found.sort_unstable();
            assert_eq!(found, expected, "{parts:?}");
            hits += found.len();
        }
        assert!(hits > 1_000, "only {hits} hits: the samples show nothing");
    }
}
