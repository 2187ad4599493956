use std::{collections::BTreeMap, fmt};

use super::{format::Format, reader::Reader};

/// What has come to clients, in each form.
#[derive(Default)]
pub struct Tally {
    received: BTreeMap<(&'static str, Format), u64>,
    visits: u32,
}

impl Tally {
    pub fn add(&mut self, transport: &'static str, reader: &Reader) {
        *self.received.entry((transport, reader.format)).or_default() += reader.received;
        self.visits += reader.visits;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: u64 = self.received.values().sum();
        let forms = self.received.iter();
        let forms = forms.map(|((transport, format), received)| {
            format!("{received} {}{transport}", format.name())
        });
        let forms = forms.collect::<Vec<_>>().join(", ");
        write!(out, "{all} deliveries ({forms}) to {} visits", self.visits)
    }
}
