use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Buckets of each power of two are so many, as a power of two: what is read off
/// them is right to within a sixteenth.
const STEPS_LOG2: u32 = 3;
const STEPS: u64 = 1 << STEPS_LOG2;
/// 137 s: longer than any call.
const MAX_NS: u64 = (1 << 37) - 1;
const BUCKETS: usize = bucket(MAX_NS) + 1;

/// Durations, each in the bucket of its size: linear below a power of two's worth
/// of steps, then as many steps for each power of two.
pub struct Histogram {
    buckets: Box<[AtomicU64; BUCKETS]>,
    sum_ns: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: Box::new([const { AtomicU64::new(0) }; BUCKETS]),
            sum_ns: AtomicU64::new(0),
        }
    }
}

impl Histogram {
    pub fn record(&self, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(ns)].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Durations {
        let buckets = self.buckets.iter();
        Durations {
            counts: buckets.map(|it| it.load(Ordering::Relaxed)).collect(),
            sum_ns: self.sum_ns.load(Ordering::Relaxed),
        }
    }
}

/// A histogram at one moment.
pub(super) struct Durations {
    counts: Vec<u64>,
    sum_ns: u64,
}

impl Durations {
    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub(super) fn sum_seconds(&self) -> f64 {
        self.sum_ns as f64 / 1e9
    }

    /// The duration that this share of all calls do not exceed.
    pub(super) fn quantile_ns(&self, share: f64) -> Option<f64> {
        let rank = (self.count() as f64 * share).ceil().max(1.0) as u64;
        let mut passed = 0;
        let found = self.counts.iter().position(|count| {
            passed += count;
            passed >= rank
        });
        found.map(middle_ns)
    }

    /// How many took less than `2^power` ns.
    pub(super) fn below_power(&self, power: u32) -> u64 {
        self.counts.iter().take(bucket(1 << power)).sum()
    }
}

const fn bucket(ns: u64) -> usize {
    let ns = if ns < MAX_NS { ns } else { MAX_NS };
    if ns < STEPS {
        return ns as usize;
    }
    let shift = ns.ilog2() - STEPS_LOG2;
    ((shift as u64 + 1) * STEPS + (ns >> shift) % STEPS) as usize
}

fn middle_ns(bucket: usize) -> f64 {
    let (group, step) = (bucket as u64 / STEPS, bucket as u64 % STEPS);
    if group == 0 {
        return step as f64;
    }
    let width = 1_u64 << (group - 1);
    ((STEPS + step) * width) as f64 + (width - 1) as f64 / 2.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BUCKETS, Histogram, MAX_NS, bucket, middle_ns};

    #[test]
    fn buckets_follow_each_other_and_tell_a_duration_to_within_a_sixteenth() {
        let mut last = 0;
        for ns in (0..100_000).chain((17..37).flat_map(|power| {
            let around = 1_u64 << power;
            [around - 1, around, around + around / 3]
        })) {
            let found = bucket(ns);
            assert!(found >= last && (ns > 100_000 || found <= last + 1), "{ns}");
            last = found;
            let off = (middle_ns(found) - ns as f64).abs();
            assert!(off <= ns as f64 / 16.0, "{ns}: {}", middle_ns(found));
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert_eq!(bucket(MAX_NS), BUCKETS - 1);
    }

    #[test]
    fn quantiles_and_bounds_are_read_off_it() {
        let histogram = Histogram::default();
        assert_eq!(histogram.read().quantile_ns(0.5), None);
        for us in 1..=1_000 {
            histogram.record(Duration::from_micros(us));
        }
        let read = histogram.read();
        for (share, us) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0)] {
            let found = read.quantile_ns(share).expect("some") / 1_000.0;
            assert!((found - us).abs() <= us / 16.0, "{share}: {found}");
        }
        assert_eq!(read.count(), 1_000);
        assert!((read.sum_seconds() - 0.500_5).abs() < 1e-9);
        // 2^16 ns are 65.5 µs.
        assert_eq!(read.below_power(16), 65);
        assert_eq!(read.below_power(34), 1_000);
    }
}
