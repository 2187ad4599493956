use super::situation::Situation;
use crate::model::{Plan, Spec, StepName, Strategy};

/// Decides how the new instance takes the place of the old one. Pure.
pub(super) fn decide(spec: &Spec, situation: &Situation) -> Plan {
    let publishes = spec.ports.iter().any(|port| port.host.is_some());
    let strategy = if publishes {
        Strategy::StopFirst
    } else {
        Strategy::StartFirst
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
    };
    Plan {
        strategy,
        downtime,
        summary,
        replaces,
        warnings: warnings(spec, situation),
    }
}

/// The steps in the order in which they act.
pub(super) fn steps(strategy: Strategy, bake_ms: u64) -> Vec<StepName> {
    use StepName::{Bake, Create, Gate, Plan, Pull, Replace, Retire, Start};
    let steps = match strategy {
        Strategy::StartFirst => [Plan, Pull, Create, Start, Gate, Replace, Bake, Retire],
        Strategy::StopFirst => [Plan, Pull, Create, Replace, Start, Gate, Bake, Retire],
    };
    let bakes = |step: &StepName| *step != Bake || bake_ms > 0;
    steps.into_iter().filter(bakes).collect()
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
    let taken = spec.ports.iter().filter_map(|port| {
        let (host, name) = situation
            .taken_ports
            .iter()
            .find(|(taken, _)| port.host == Some(*taken))?;
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
        model::{PortSpec, Protocol, Spec, Strategy},
    };

    #[test]
    fn a_published_port_means_stop_first_and_the_plan_says_downtime() {
        let mut spec = Spec::for_image("shop:1");
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
}
