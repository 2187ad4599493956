//! The counters in the text form of Prometheus, version 0.0.4, which every
//! collector reads.

use std::fmt::{Display, Write};

use super::{
    Metrics,
    tally::{Kind, Tally},
};
use crate::model::{PluginState, SinkQueue};

/// Bounds of durations, as powers of two, in ns: from 256 ns to 17 s.
fn bounds() -> impl Iterator<Item = u32> {
    (8..=34).step_by(2)
}

/// A plugin as it is told to a collector.
pub struct Exposed<'m> {
    pub plugin: &'m str,
    pub state: PluginState,
    pub metrics: &'m Metrics,
    /// Of a sink.
    pub queue: Option<SinkQueue>,
}

pub fn exposition(plugins: &[Exposed<'_>]) -> String {
    let mut text = Text::default();
    text.states(plugins);
    text.durations(plugins);
    text.tally(
        "faults",
        "What went wrong with a plugin",
        plugins,
        "kind",
        |it| &it.faults,
    );
    text.numbers(
        "drops_total",
        "counter",
        "Events that a filter dropped",
        plugins,
        |it| Some(it.metrics.drops.get()),
    );
    text.numbers("guests", "gauge", "Instances that run", plugins, |it| {
        Some(it.metrics.memory().guests)
    });
    text.numbers(
        "memory_bytes",
        "gauge",
        "Linear memory of all instances",
        plugins,
        |it| Some(it.metrics.memory().bytes),
    );
    text.numbers(
        "memory_peak_bytes",
        "gauge",
        "The most linear memory that one instance has had",
        plugins,
        |it| Some(it.metrics.memory().peak_bytes),
    );
    text.tally("http_requests", "HTTP requests", plugins, "outcome", |it| {
        &it.http
    });
    text.tally(
        "deliveries",
        "Attempts to deliver",
        plugins,
        "outcome",
        |it| &it.deliveries,
    );
    text.numbers(
        "queue_pending",
        "gauge",
        "Deliveries that wait for a sink",
        plugins,
        |it| it.queue.as_ref().map(|queue| queue.pending),
    );
    text.numbers(
        "queue_dead",
        "gauge",
        "Dead letters of a sink",
        plugins,
        |it| it.queue.as_ref().map(|queue| queue.dead),
    );
    text.0
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn states(&mut self, plugins: &[Exposed<'_>]) {
        self.family("state", "gauge", "1 for the state that a plugin is in");
        for it in plugins {
            for state in PluginState::ALL {
                let labels = labels(it.plugin, &[("state", state.as_str())]);
                self.sample("state", &labels, u8::from(it.state == state));
            }
        }
    }

    fn durations(&mut self, plugins: &[Exposed<'_>]) {
        self.family("call_seconds", "histogram", "How long calls took");
        for it in plugins {
            let calls = it.metrics.calls.read();
            for power in bounds() {
                let bound = ((1_u64 << power) as f64 / 1e9).to_string();
                let labels = labels(it.plugin, &[("le", &bound)]);
                self.sample("call_seconds_bucket", &labels, calls.below_power(power));
            }
            let all = labels(it.plugin, &[("le", "+Inf")]);
            self.sample("call_seconds_bucket", &all, calls.count());
            let labels = labels(it.plugin, &[]);
            self.sample("call_seconds_sum", &labels, calls.sum_seconds());
            self.sample("call_seconds_count", &labels, calls.count());
        }
    }

    fn tally<K: Kind>(
        &mut self,
        name: &str,
        help: &str,
        plugins: &[Exposed<'_>],
        label: &str,
        of: impl Fn(&Metrics) -> &Tally<K>,
    ) {
        let name = format!("{name}_total");
        self.family(&name, "counter", help);
        for it in plugins {
            for (kind, count) in of(it.metrics).all() {
                self.sample(&name, &labels(it.plugin, &[(label, kind.word())]), count);
            }
        }
    }

    fn numbers(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        plugins: &[Exposed<'_>],
        of: impl Fn(&Exposed<'_>) -> Option<u64>,
    ) {
        self.family(name, kind, help);
        for it in plugins {
            if let Some(value) = of(it) {
                self.sample(name, &labels(it.plugin, &[]), value);
            }
        }
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!(
            "# HELP tiny_forge_plugin_{name} {help}\n# TYPE tiny_forge_plugin_{name} {kind}"
        ));
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        self.line(format_args!("tiny_forge_plugin_{name}{labels} {value}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{line}").expect("a string takes everything");
    }
}

fn labels(plugin: &str, more: &[(&str, &str)]) -> String {
    let all = [("plugin", plugin)].into_iter().chain(more.iter().copied());
    let pairs: Vec<String> = all
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    format!("{{{}}}", pairs.join(","))
}

/// A file that nobody has configured may be called anything.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Exposed, Metrics, PluginState, exposition};
    use crate::plugin_host::metrics::FaultKind;

    #[test]
    fn every_line_is_a_comment_or_a_sample_and_names_are_escaped() {
        let metrics = Metrics::default();
        metrics.calls.record(Duration::from_micros(1));
        metrics.faults.add(FaultKind::Trap);
        let text = exposition(&[Exposed {
            plugin: "a\"b\\c\n.wasm",
            state: PluginState::Running,
            metrics: &metrics,
            queue: None,
        }]);
        for line in text.lines() {
            let sample = line.rsplit_once(' ');
            let (_, value) = sample.unwrap_or_else(|| panic!("{line}"));
            assert!(
                line.starts_with("# ") || value.parse::<f64>().is_ok(),
                "{line}"
            );
        }
        let plugin = r#"plugin="a\"b\\c\n.wasm""#;
        for expected in [
            format!("tiny_forge_plugin_state{{{plugin},state=\"running\"}} 1\n"),
            format!("tiny_forge_plugin_state{{{plugin},state=\"failed\"}} 0\n"),
            format!("tiny_forge_plugin_call_seconds_bucket{{{plugin},le=\"0.000000256\"}} 0\n"),
            format!("tiny_forge_plugin_call_seconds_bucket{{{plugin},le=\"0.000001024\"}} 1\n"),
            format!("tiny_forge_plugin_call_seconds_bucket{{{plugin},le=\"+Inf\"}} 1\n"),
            format!("tiny_forge_plugin_call_seconds_sum{{{plugin}}} 0.000001\n"),
            format!("tiny_forge_plugin_faults_total{{{plugin},kind=\"trap\"}} 1\n"),
            format!("tiny_forge_plugin_http_requests_total{{{plugin},outcome=\"timeout\"}} 0\n"),
        ] {
            assert!(text.contains(&expected), "{expected}{text}");
        }
        assert!(!text.contains("queue_pending{"));
    }
}
