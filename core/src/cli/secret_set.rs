use std::{
    io::{self, BufRead, IsTerminal, Read, Stdin, Write},
    os::fd::AsFd,
};

use anyhow::{Context, bail};
use clap::Args;
use reqwest::Method;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::{Outcome, client::Client};
use crate::{
    model::{Secret, SecretName},
    scrub::SECRET_BYTES_MIN,
};

/// There is no argument for the value: others can see those.
#[derive(Debug, Args)]
pub(super) struct SetArgs {
    /// Name that plugins find it by, as in `secrets.TOKEN = "store:NAME"`
    name: SecretName,
}

pub(super) async fn run(client: &Client, args: &SetArgs) -> anyhow::Result<Outcome> {
    let name = &args.name;
    let value = read(name).context("the value cannot be read")?;
    let value = value.trim_end_matches(['\r', '\n']);
    if value.is_empty() {
        bail!(
            "the value is empty: give it on standard input, as in `tiny-forge secret set {name} < FILE`"
        );
    }
    if value.len() < SECRET_BYTES_MIN {
        eprintln!(
            "note: a secret of fewer than {SECRET_BYTES_MIN} bytes cannot be told from other words, \
             and so is not taken out of what targets answer"
        );
    }
    let path = format!("/api/secrets/{name}");
    let body = serde_json::json!({ "value": value });
    let Secret { used_by, .. } = client.write(Method::PUT, &path, &body).await?;
    match used_by.as_slice() {
        [] => println!(
            "secret `{name}` is set; a plugin uses it with secrets.NAME = \"store:{name}\""
        ),
        users => println!("secret `{name}` is set, for {}", users.join(", ")),
    }
    Ok(Outcome::Done)
}

fn read(name: &SecretName) -> io::Result<String> {
    let stdin = io::stdin();
    let mut value = String::new();
    if stdin.is_terminal() {
        eprint!("value of `{name}` (it is not shown): ");
        io::stderr().flush()?;
        let _hidden = Hidden::begin(&stdin)?;
        stdin.lock().read_line(&mut value)?;
        eprintln!();
    } else {
        stdin.lock().read_to_string(&mut value)?;
    }
    Ok(value)
}

/// A terminal that shows nothing of what is typed, as long as this lives.
struct Hidden<'s> {
    stdin: &'s Stdin,
    before: Termios,
}

impl<'s> Hidden<'s> {
    fn begin(stdin: &'s Stdin) -> io::Result<Self> {
        let before = tcgetattr(stdin.as_fd())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(stdin.as_fd(), OptionalActions::Flush, &hidden)?;
        Ok(Self { stdin, before })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing.
        let _ = tcsetattr(self.stdin.as_fd(), OptionalActions::Flush, &self.before);
    }
}
