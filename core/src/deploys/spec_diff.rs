//! How one specification differs from another, field by field.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::{Spec, SpecChange};

/// Of two specifications with the values of their secrets, which are compared and not
/// told. In the order of their fields.
pub(super) fn changes(before: &Spec, after: &Spec) -> Vec<SpecChange> {
    let (old, new) = (fields(before), fields(after));
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let changed = names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name));
    changed
        .map(|name| {
            let (before, after) = (old.get(name), new.get(name));
            let secret = [before, after]
                .into_iter()
                .flatten()
                .any(|field| field.secret);
            let told = |field: Option<&Field>| {
                let shown = field.filter(|_| !secret);
                shown.map(|field| field.value.clone())
            };
            SpecChange {
                field: name.clone(),
                before: told(before),
                after: told(after),
                secret,
            }
        })
        .collect()
}

#[derive(PartialEq)]
struct Field {
    value: Value,
    secret: bool,
}

/// By JSON pointer; variables by their names, since their order says nothing.
fn fields(spec: &Spec) -> BTreeMap<String, Field> {
    let mut found = BTreeMap::new();
    for entry in &spec.env {
        let field = Field {
            value: entry.value.clone().into(),
            secret: entry.secret,
        };
        found.insert(format!("/env/{}", entry.name), field);
    }
    if let Some(auth) = &spec.registry_auth {
        let field = Field {
            value: auth.password.clone().into(),
            secret: true,
        };
        found.insert("/registry_auth/password".to_owned(), field);
    }
    let mut rest = spec.masked();
    rest.env.clear();
    let rest = serde_json::to_value(rest).unwrap_or_default();
    leaves(String::new(), rest, &mut found);
    found
}

/// A list of words, as a command is, is one field.
fn leaves(path: String, value: Value, found: &mut BTreeMap<String, Field>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                leaves(format!("{path}/{name}"), member, found);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (place, item) in items.into_iter().enumerate() {
                leaves(format!("{path}/{place}"), item, found);
            }
        }
        Value::Array(items) if items.is_empty() => {}
        value => {
            let secret = false;
            found.insert(path, Field { value, secret });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::changes;
    use crate::model::{EnvEntry, Spec};

    fn variable(name: &str, value: &str, secret: bool) -> EnvEntry {
        EnvEntry {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            secret,
        }
    }

    #[test]
    fn a_change_is_told_with_both_values_and_a_secret_without() {
        let mut before = Spec::for_image("shop:1");
        before.env = vec![variable("A", "1", false), variable("KEY", "old", true)];
        let mut after = Spec::for_image("shop:2");
        after.env = vec![variable("KEY", "new", true), variable("B", "2", false)];
        after.command = Some(vec!["run".to_owned()]);
        let told = serde_json::to_value(changes(&before, &after)).expect("JSON");
        assert_eq!(
            told,
            json!([
                {"field": "/command", "after": ["run"]},
                {"field": "/env/A", "before": "1"},
                {"field": "/env/B", "after": "2"},
                {"field": "/env/KEY", "secret": true},
                {"field": "/image", "before": "shop:1", "after": "shop:2"},
            ])
        );
    }

    #[test]
    fn another_order_of_variables_is_no_change() {
        let mut one = Spec::for_image("shop:1");
        one.env = vec![variable("A", "1", false), variable("B", "2", true)];
        let mut other = one.clone();
        other.env.reverse();
        assert!(changes(&one, &other).is_empty());
    }
}
