//! The SQL that finds events for a filter.

use rusqlite::types::Value;

use crate::{
    events::Filter,
    model::{DeployId, EventId, EventType},
};

/// Which rows, and what of them.
pub(super) struct Query<'f> {
    pub columns: Columns,
    pub filter: &'f Filter,
    /// Without the first, with the last.
    pub range: (EventId, EventId),
    pub limit: usize,
    /// Of JSON, after which no further row is taken.
    pub bytes: usize,
    pub descending: bool,
}

#[derive(Clone, Copy)]
pub(super) enum Columns {
    All,
    /// `id` and `frame`.
    Wire,
    Id,
}

impl Columns {
    fn of_events(self) -> &'static str {
        match self {
            Self::All => "id, type, severity, time, project, stage, instance, deploy, frame",
            Self::Wire => "id, frame",
            Self::Id => "id",
        }
    }

    fn of_logs(self) -> &'static str {
        match self {
            Self::All => {
                "id, 'deploy_log' AS type, severity, time, project, stage, instance, deploy, frame"
            }
            Self::Wire => "id, frame",
            Self::Id => "id",
        }
    }
}

/// Both tables in id order, each only where the filter can match it.
/// Parameters: ?1 after, ?2 last, ?3 limit, then the filter's values.
pub(super) fn select_sql(query: &Query<'_>) -> (String, Vec<Value>) {
    let Query {
        columns, filter, ..
    } = query;
    let mut conditions = Conditions::default();
    let condition = conditions.of(filter);
    let mut tables = Vec::new();
    if filter.wants_events() {
        let kinds = kinds_condition(filter);
        tables.push(format!(
            "SELECT {} FROM events WHERE id > ?1 AND id <= ?2{condition}{kinds}",
            columns.of_events()
        ));
    }
    if filter.wants_logs() {
        let added = conditions.one_of("deploy", numbers(&filter.logs));
        let condition = match (filter.selects_logs(), added) {
            (true, None) => condition,
            (true, Some(added)) => format!(" AND ((1 = 1{condition}) OR {added})"),
            (false, added) => added.map_or_else(String::new, |added| format!(" AND {added}")),
        };
        tables.push(format!(
            "SELECT {} FROM deploy_logs WHERE id > ?1 AND id <= ?2{condition}",
            columns.of_logs()
        ));
    }
    let tables = tables.join(" UNION ALL ");
    let direction = if query.descending { "DESC" } else { "ASC" };
    let sql = format!("{tables} ORDER BY id {direction} LIMIT ?3");
    (sql, conditions.values)
}

/// SQL conditions, with the values of their parameters.
#[derive(Default)]
struct Conditions {
    values: Vec<Value>,
}

impl Conditions {
    /// What holds for both tables.
    fn of(&mut self, filter: &Filter) -> String {
        let lists = [
            ("project", texts(&filter.projects)),
            ("stage", texts(&filter.stages)),
            ("instance", texts(&filter.instances)),
            ("deploy", numbers(&filter.deploys)),
        ];
        let mut condition = String::new();
        for (column, wanted) in lists {
            if let Some(one_of) = self.one_of(column, wanted) {
                condition.push_str(&format!(" AND {one_of}"));
            }
        }
        if let Some(severity) = filter.min_severity {
            condition.push_str(&format!(" AND severity >= {}", severity as i64));
        }
        condition
    }

    fn one_of(&mut self, column: &str, wanted: Vec<Value>) -> Option<String> {
        if wanted.is_empty() {
            return None;
        }
        let first = self.values.len() + 4;
        let marks: Vec<String> = (first..first + wanted.len())
            .map(|number| format!("?{number}"))
            .collect();
        self.values.extend(wanted);
        Some(format!("{column} IN ({})", marks.join(", ")))
    }
}

fn texts(names: &[String]) -> Vec<Value> {
    names.iter().cloned().map(Value::Text).collect()
}

fn numbers(deploys: &[DeployId]) -> Vec<Value> {
    let numbers = deploys.iter().map(|deploy| Value::Integer(deploy.0));
    numbers.collect()
}

fn kinds_condition(filter: &Filter) -> String {
    let kinds: Vec<String> = filter
        .types
        .iter()
        .filter(|kind| **kind != EventType::DeployLog)
        .map(|kind| format!("'{}'", kind.as_str()))
        .collect();
    if kinds.is_empty() {
        String::new()
    } else {
        format!(" AND type IN ({})", kinds.join(", "))
    }
}
