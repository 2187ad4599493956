//! A filter that uses all that the contract offers a filter. Its `.wasm` of each
//! contract is kept: see `core/tests/it/plugins/golden/README.md`.

use serde::Deserialize;
use tiny_forge_plugin::{
    Decision, Description, Event, Fault, FieldError, Filter, Plugin, clock, log, store,
};

#[derive(Deserialize)]
struct Drop {
    project: String,
}

impl Plugin for Drop {
    fn describe() -> Description {
        tiny_forge_plugin::description!()
            .config_schema(r#"{"type":"object","required":["project"]}"#)
            .store()
    }

    fn check(&self) -> Vec<FieldError> {
        match self.project.as_str() {
            "" => vec![FieldError::new("/project", "is empty")],
            _ => Vec::new(),
        }
    }
}

impl Filter for Drop {
    fn filter(&mut self, event: &Event) -> Result<Decision, Fault> {
        let before: u32 = store::get_json("seen").unwrap_or_default();
        let seen = before + 1;
        store::set_json("seen", &seen)?;
        store::delete("never set");
        let project = event.project().unwrap_or_default();
        log::info(format_args!("{seen}: {project}"));
        match project {
            "faulty" => Err("it does not like this one".into()),
            "broken" => broken(seen),
            _ if project == self.project && clock::now_ms() > 0 => {
                let time_is_text = event.time.ends_with('Z');
                Ok(Decision::drop(format!("{seen} seen, {time_is_text}")))
            }
            _ => Ok(Decision::Keep),
        }
    }
}

#[inline(never)]
fn broken(seen: u32) -> Result<Decision, Fault> {
    panic!("broken after {seen}")
}

tiny_forge_plugin::export_filter!(Drop);
