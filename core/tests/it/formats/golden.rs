//! Every frame as it is sent, in files: a change of what clients read is seen
//! in review. A frame that differs is written beside its file, as `.new`.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use tiny_forge::{api::format::Format, events::Control, model::EventType};

use super::samples::{self, JOURNAL};

#[test]
fn every_frame_is_as_its_file_says() {
    let expected = expected();
    let differing: Vec<&String> = expected
        .iter()
        .filter(|(name, text)| !is_as_before(name, text))
        .map(|(name, _)| name)
        .collect();
    assert!(
        differing.is_empty(),
        "{differing:?} in {} differ from the `.new` files beside them: is that meant?",
        folder().display()
    );
}

#[test]
fn no_file_is_left_over() {
    let files = fs::read_dir(folder()).expect("golden files");
    let files = files.map(|file| file.expect("a file").file_name().into_string());
    let files: BTreeSet<String> = files
        .map(|name| name.expect("UTF-8"))
        .filter(|name| !name.ends_with(".new"))
        .collect();
    let expected: BTreeSet<String> = expected().into_iter().map(|(name, _)| name).collect();
    assert_eq!(files, expected);
}

/// Name and content of each file.
fn expected() -> Vec<(String, String)> {
    let of_each_type = EventType::ALL.map(|kind| (kind.as_str().to_owned(), samples::event(kind)));
    let successes = samples::successes().map(|(word, event)| {
        (
            format!("{}_{word}", EventType::DeployStatus.as_str()),
            event,
        )
    });
    let events = of_each_type.into_iter().chain(successes);
    let events = events.map(|(name, event)| {
        let frame = samples::frame(&event);
        let text = in_each_format(|format| {
            let mut sent = Vec::new();
            format
                .write_event(JOURNAL, &frame, &mut sent)
                .expect("an event in every form");
            String::from_utf8(sent).expect("text")
        });
        (format!("event_{name}.txt"), text)
    });
    let controls = samples::controls()
        .into_iter()
        .map(named)
        .map(|(name, control)| {
            let text = in_each_format(|format| format.control(&control));
            (format!("control_{name}.txt"), text)
        });
    events.chain(controls).collect()
}

fn in_each_format(write: impl Fn(Format) -> String) -> String {
    let parts = Format::ALL.map(|format| format!("## {}\n{}", format.as_str(), write(format)));
    parts.concat()
}

/// Knows every kind: a new one does not compile without a file of its own.
fn named(control: Control) -> (String, Control) {
    let name = match &control {
        Control::Reset(reset) => format!("reset_{}", reset.reason.as_str()),
        Control::Hello { .. }
        | Control::Bookmark { .. }
        | Control::End
        | Control::Farewell { .. } => control.name().to_owned(),
    };
    (name, control)
}

fn is_as_before(name: &str, text: &str) -> bool {
    let path = folder().join(name);
    let new = path.with_added_extension("new");
    let is_same = fs::read_to_string(&path).is_ok_and(|before| before == text);
    let done = if is_same {
        fs::remove_file(&new).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })
    } else {
        fs::write(&new, text)
    };
    done.expect("golden files can be written beside");
    is_same
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/formats/golden")
}
