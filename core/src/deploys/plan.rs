use std::collections::BTreeSet;

use super::situation::Situation;
use crate::model::{Plan, PortSpec, Routing, Spec, StepName, Strategy};

/// Networks that leave a container without an address of ours.
const WITHOUT_ADDRESS: [&str; 2] = ["host", "none"];

/// Decides how the new instance takes the place of the old one. Pure.
pub(super) fn decide(spec: &Spec, situation: &Situation) -> Plan {
    let mut warnings = warnings(spec, situation);
    let publishes = spec.ports.iter().any(|port| port.host.is_some());
    let strategy = match is_held(spec, situation) {
        Ok(true) if serving_holds_one(spec, situation) => {
            let warning = "from now on the host's firewall applies to its ports: Docker's do not \
                           pass it, held ones do";
            warnings.push(warning.to_owned());
            Strategy::StopFirst
        }
        Ok(true) => Strategy::PortHold,
        Ok(false) if publishes => Strategy::StopFirst,
        Ok(false) => Strategy::StartFirst,
        Err(_) if !publishes => Strategy::StartFirst,
        Err(why) => {
            warnings.push(format!(
                "the instance publishes its ports by itself, since {why}"
            ));
            Strategy::StopFirst
        }
    };
    let replaces = situation.serving.clone();
    let downtime = strategy == Strategy::StopFirst && replaces.is_some();
    let summary = match (&replaces, strategy) {
        (None, _) => "starts the first instance; nothing is replaced".to_owned(),
        (Some(_), Strategy::StartFirst) => {
            "starts the new instance, and stops the old one when the new one is good: no downtime"
                .to_owned()
        }
        (Some(_), Strategy::StopFirst) => {
            "stops the old instance first, since it holds a published port: downtime until the new \
             one is good; if it is not, the old one is started again"
                .to_owned()
        }
        (Some(_), Strategy::PortHold) => {
            "starts the new instance, and leads the held ports to it when it is good; the old one \
             is stopped when nobody talks to it any more: no downtime"
                .to_owned()
        }
    };
    Plan {
        strategy,
        downtime,
        summary,
        replaces,
        address: None,
        loopback: Vec::new(),
        warnings,
    }
}

/// Whether the data plane is to hold its ports; an error where that is wanted and
/// cannot be.
pub(super) fn is_held(spec: &Spec, situation: &Situation) -> Result<bool, String> {
    if !wants_hold(spec) {
        return Ok(false);
    }
    if let Some(port) = spec
        .ports
        .iter()
        .find(|it| it.host.is_some() && !it.can_be_held())
    {
        return Err(format!("port {} is not of TCP", port.container));
    }
    let apart =
        |name: &&String| WITHOUT_ADDRESS.contains(&name.as_str()) || name.starts_with("container:");
    if let Some(network) = spec.networks.iter().find(apart) {
        return Err(format!(
            "network `{network}` gives it no address of its own"
        ));
    }
    match &situation.hold_obstacle {
        Some(obstacle) => Err(obstacle.clone()),
        None => Ok(true),
    }
}

pub(super) fn wants_hold(spec: &Spec) -> bool {
    let has_some = spec.ports.iter().any(PortSpec::can_be_held) || !spec.domains.is_empty();
    spec.routing == Routing::PortHold && has_some
}

/// It publishes a port by itself that is to be held: this once there is a gap.
fn serving_holds_one(spec: &Spec, situation: &Situation) -> bool {
    let held = spec.ports.iter().filter_map(|port| port.host);
    held.into_iter()
        .any(|port| situation.serving_ports.contains(&port))
}

/// The steps in the order in which they act.
pub(super) fn steps(plan: &Plan, bake_ms: u64) -> Vec<StepName> {
    use StepName::{Bake, Create, Drain, Gate, Plan, Pull, Replace, Retire, Start};
    let steps: &[StepName] = match plan.strategy {
        Strategy::StartFirst => &[Plan, Pull, Create, Start, Gate, Replace, Bake, Retire],
        Strategy::StopFirst => &[Plan, Pull, Create, Replace, Start, Gate, Bake, Retire],
        Strategy::PortHold => &[
            Plan, Pull, Create, Start, Gate, Replace, Drain, Bake, Retire,
        ],
    };
    let is_there = |step: &StepName| match step {
        Bake => bake_ms > 0,
        Drain => plan.replaces.is_some(),
        _ => true,
    };
    steps.iter().copied().filter(is_there).collect()
}

pub(super) fn no_network(name: &str) -> String {
    format!("network `{name}` does not exist: create it first")
}

/// What a rollback leaves as it is: said beforehand.
pub(super) fn not_rolled_back(spec: &Spec) -> Vec<String> {
    let volumes: Vec<&str> = spec.volumes.iter().map(|it| it.source.as_str()).collect();
    let kept = match volumes.as_slice() {
        [] => "what the newer version wrote, as to a database".to_owned(),
        _ => format!(
            "the contents of {}, and what the newer version wrote elsewhere, as to a database",
            volumes.join(", ")
        ),
    };
    vec![format!("not rolled back: {kept}")]
}

fn warnings(spec: &Spec, situation: &Situation) -> Vec<String> {
    let hosts: BTreeSet<u16> = spec.ports.iter().filter_map(|port| port.host).collect();
    let taken = hosts.iter().filter_map(|host| {
        let (_, name) = situation
            .taken_ports
            .iter()
            .find(|(taken, _)| taken == host)?;
        Some(format!(
            "host port {host} is published by container `{name}` now"
        ))
    });
    let mut warnings: Vec<String> = taken.collect();
    let has_tag = spec
        .image
        .rsplit('/')
        .next()
        .is_some_and(|name| name.contains([':', '@']));
    if !has_tag {
        warnings.push(format!(
            "image `{}` names no tag: `latest` is meant",
            spec.image
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::decide;
    use crate::{
        deploys::situation::Situation,
        model::{PortSpec, Protocol, Routing, Spec, Strategy},
    };

    fn publishing(protocol: Protocol) -> Spec {
        let mut spec = Spec::for_image("shop:1");
        spec.ports = vec![PortSpec {
            host: Some(8080),
            container: 80,
            protocol,
            host_ip: None,
        }];
        spec
    }

    #[test]
    fn a_held_port_means_no_downtime_but_for_the_once_when_it_changes_hands() {
        let spec = publishing(Protocol::Tcp);
        let mut running = Situation {
            serving: Some("old".into()),
            ..Situation::default()
        };
        let plan = decide(&spec, &running);
        assert_eq!((plan.strategy, plan.downtime), (Strategy::PortHold, false));
        running.serving_ports = vec![8080];
        let plan = decide(&spec, &running);
        assert_eq!((plan.strategy, plan.downtime), (Strategy::StopFirst, true));
    }

    #[test]
    fn what_cannot_be_held_is_published_by_the_instance_and_the_plan_says_why() {
        let plan = decide(&publishing(Protocol::Udp), &Situation::default());
        assert_eq!(plan.strategy, Strategy::StopFirst);
        let mut both = publishing(Protocol::Tcp);
        both.ports.extend(publishing(Protocol::Udp).ports);
        let plan = decide(&both, &Situation::default());
        assert_eq!(plan.strategy, Strategy::StopFirst);
        assert!(plan.warnings[0].contains("TCP"), "{:?}", plan.warnings);
    }

    #[test]
    fn a_published_port_means_stop_first_and_the_plan_says_downtime() {
        let mut spec = Spec::for_image("shop:1");
        spec.routing = Routing::StopFirst;
        let running = Situation {
            serving: Some("old".into()),
            ..Situation::default()
        };
        let plan = decide(&spec, &running);
        assert_eq!(
            (plan.strategy, plan.downtime),
            (Strategy::StartFirst, false)
        );
        spec.ports = vec![PortSpec {
            host: Some(8080),
            container: 80,
            protocol: Protocol::Tcp,
            host_ip: None,
        }];
        let plan = decide(&spec, &running);
        assert_eq!((plan.strategy, plan.downtime), (Strategy::StopFirst, true));
        assert!(plan.summary.contains("downtime"), "{}", plan.summary);
        assert!(
            !decide(&spec, &Situation::default()).downtime,
            "nothing serves yet"
        );
    }

    #[test]
    fn a_port_of_another_container_is_a_warning() {
        let mut spec = Spec::for_image("shop:1");
        spec.ports = vec![PortSpec {
            host: Some(8080),
            container: 80,
            protocol: Protocol::Tcp,
            host_ip: None,
        }];
        let situation = Situation {
            taken_ports: vec![(8080, "db".into())],
            ..Situation::default()
        };
        assert!(decide(&spec, &situation).warnings[0].contains("`db`"));
    }

    #[test]
    fn a_port_that_is_published_over_tcp_and_udp_is_warned_of_once() {
        let mut spec = publishing(Protocol::Tcp);
        spec.ports.extend(publishing(Protocol::Udp).ports);
        let situation = Situation {
            taken_ports: vec![(8080, "db".into())],
            ..Situation::default()
        };
        let warnings = decide(&spec, &situation).warnings;
        let of_db = warnings.iter().filter(|it| it.contains("`db`"));
        assert_eq!(of_db.count(), 1, "{warnings:?}");
    }
}
