//! Each test runs itself once more in a process of its own, which may end.

use std::{
    env,
    os::unix::process::ExitStatusExt,
    process::{Command, ExitStatus},
};

use tiny_forge_events::{vital, vital_task};

const PANICS: &str = "TINY_FORGE_TEST_PANICS";

/// Whether this process is the one that may end, and is to panic.
#[allow(
    clippy::disallowed_methods,
    reason = "the test tells it to the process that it starts"
)]
fn told() -> Option<bool> {
    env::var(PANICS).ok().map(|panics| panics == "true")
}

fn again(test: &str, panics: bool) -> ExitStatus {
    let this = env::current_exe().expect("a program");
    let mut child = Command::new(this);
    child
        .args(["--exact", test])
        .env(PANICS, panics.to_string());
    child.output().expect("it runs").status
}

fn ends_the_process_where_it_panics(test: &str) {
    assert!(again(test, false).success(), "an orderly end");
    let aborted = again(test, true);
    assert_eq!(aborted.signal(), Some(6), "{aborted}");
}

#[test]
fn a_panic_of_a_vital_thread_ends_the_process() {
    match told() {
        None => ends_the_process_where_it_panics("a_panic_of_a_vital_thread_ends_the_process"),
        Some(panics) => {
            let work = move || assert!(!panics, "on purpose");
            let thread = std::thread::spawn(move || vital("a thread", work));
            thread.join().expect("it goes on");
        }
    }
}

#[tokio::test]
async fn a_panic_of_a_vital_task_ends_the_process() {
    match told() {
        None => ends_the_process_where_it_panics("a_panic_of_a_vital_task_ends_the_process"),
        Some(panics) => {
            let work = async move { assert!(!panics, "on purpose") };
            vital_task("a task", work).await;
        }
    }
}
