use tiny_forge::{
    model::PluginLogLevel,
    plugin_host::sandbox::{Decision, Fault, Guest},
    store::PluginWrite,
};

use super::{
    guest::{ANSWER, Role, Source, drop_with},
    lab::{Lab, SECRET, event},
};

const SET: &str = "(call $set (i32.const 512) (i32.const 1) (i32.const 520) (i32.const 5)
    (i32.const 600))";

fn storing(call: &str) -> Source {
    Source::filter(call)
        .import("get", "store", "get", "(param i32 i32 i32)")
        .import("set", "store", "set", "(param i32 i32 i32 i32 i32)")
        .import("delete", "store", "delete", "(param i32 i32)")
        .data(512, b"k")
        .data(520, b"value")
}

fn written(value: Option<&[u8]>) -> Vec<PluginWrite> {
    vec![PluginWrite {
        key: "k".into(),
        value: value.map(<[u8]>::to_vec),
    }]
}

/// Drops with the stored value, or with nothing.
fn reading() -> Source {
    let get = "(call $get (i32.const 512) (i32.const 1) (i32.const 600))";
    storing(
        &(get.to_owned() + &drop_with("(i32.load (i32.const 604))", "(i32.load (i32.const 608))")),
    )
}

#[tokio::test]
async fn the_writes_of_a_call_are_handed_over_with_its_result() {
    let lab = Lab::new();
    let keep = format!("(i32.const {ANSWER})");
    let mut guest = lab
        .start(&storing(&(SET.to_owned() + &keep)))
        .await
        .expect("a guest");
    assert_eq!(guest.filter(&event()).await, Ok(Decision::Keep));
    let writes = guest.take_writes();
    assert_eq!(writes, written(Some(b"value")));
    assert_eq!(guest.take_writes(), []);

    lab.store
        .write(move |tx| tx.apply_plugin_writes("probe", &writes))
        .await
        .expect("committed");
    let mut reader = lab.start(&reading()).await.expect("a guest");
    assert_eq!(
        reader.filter(&event()).await,
        Ok(Decision::Drop("value".into()))
    );
    let mut stranger = lab
        .start_with(&reading(), |setup| {
            setup.values = tiny_forge::plugin_host::capabilities::PluginValues::new(
                lab.store.clone(),
                "stranger",
            );
        })
        .await;
    assert_eq!(
        stranger.filter(&event()).await,
        Ok(Decision::Drop(String::new()))
    );
}

#[tokio::test]
async fn the_writes_of_a_call_that_fails_are_gone() {
    let lab = Lab::new();
    let mut guest = lab
        .start(&storing(&format!("{SET} (unreachable)")))
        .await
        .expect("a guest");
    assert_eq!(
        guest
            .filter(&event())
            .await
            .expect_err("a fault")
            .kind()
            .as_str(),
        "trap"
    );
    assert_eq!(guest.take_writes(), []);

    // Writes and fails the first time; afterwards it only succeeds.
    let once = format!(
        "(if (i32.eqz (global.get $count)) (then
            {SET} (global.set $count (i32.const 1))
            (i32.store8 (i32.const {ANSWER}) (i32.const 1)))
         (else (i32.store8 (i32.const {ANSWER}) (i32.const 0))))
         (i32.const {ANSWER})"
    );
    let mut guest = lab.start(&storing(&once)).await.expect("a guest");
    let refused = guest.filter(&event()).await;
    assert!(matches!(refused, Err(Fault::Refused(_))));
    assert_eq!(guest.filter(&event()).await, Ok(Decision::Keep));
    assert_eq!(guest.take_writes(), []);
}

#[tokio::test]
async fn a_guest_reads_what_it_wrote_and_deletes_it() {
    let lab = Lab::new();
    let get = "(call $get (i32.const 512) (i32.const 1) (i32.const 600))";
    let answer = drop_with("(i32.load (i32.const 604))", "(i32.load (i32.const 608))");
    let own = storing(&format!("{SET} {get} {answer}"));
    let mut guest = lab.start(&own).await.expect("a guest");
    assert_eq!(
        guest.filter(&event()).await,
        Ok(Decision::Drop("value".into()))
    );

    let delete = "(call $delete (i32.const 512) (i32.const 1))";
    let gone = storing(&format!("{SET} {delete} (i32.const {ANSWER})"));
    let mut guest = lab.start(&gone).await.expect("a guest");
    assert_eq!(guest.filter(&event()).await, Ok(Decision::Keep));
    assert_eq!(guest.take_writes(), written(None));
}

#[tokio::test]
async fn a_value_that_is_too_large_is_refused_in_words() {
    let lab = Lab::new();
    let set = "(call $set (i32.const 512) (i32.const 1) (i32.const 1024) (i32.const 65537)
        (i32.const 600))";
    let answer = drop_with("(i32.load (i32.const 604))", "(i32.load (i32.const 608))");
    let mut guest = lab
        .start(&storing(&format!("{set} {answer}")))
        .await
        .expect("a guest");
    let Ok(Decision::Drop(problem)) = guest.filter(&event()).await else {
        panic!("no problem");
    };
    assert!(problem.contains("65536 bytes"), "{problem}");
    assert_eq!(guest.take_writes(), []);
}

#[tokio::test]
async fn a_signature_shows_nothing_of_its_secret() {
    let lab = Lab::new();
    let sign = "(call $sign (i32.const 512) (i32.const 5) (i32.const 520) (i32.const 4)
        (i32.const 600))";
    // 32 bytes are no text; their count is enough to see that they are there.
    let count = "(i32.store8 (i32.const 700) (i32.load (i32.const 608)))";
    let source = Source::filter(format!(
        "{sign} {count} {}",
        drop_with("(i32.const 700)", "(i32.const 1)")
    ));
    let source = source
        .import("sign", "sign", "hmac-sha256", "(param i32 i32 i32 i32 i32)")
        .data(512, b"TOKEN")
        .data(520, b"data");
    let mut guest = lab.start(&source).await.expect("a guest");
    assert_eq!(
        guest.filter(&event()).await,
        Ok(Decision::Drop("\u{20}".into()))
    );
}

#[tokio::test]
async fn a_signature_with_a_secret_that_was_not_given_is_denied_with_the_line_to_add() {
    let lab = Lab::new();
    let sign = "(call $sign (i32.const 512) (i32.const 5) (i32.const 520) (i32.const 4)
        (i32.const 600))";
    let source = Source::filter(format!("{sign} (i32.const {ANSWER})"))
        .import("sign", "sign", "hmac-sha256", "(param i32 i32 i32 i32 i32)")
        .data(512, b"OTHER")
        .data(520, b"data");
    let module = lab.module(&source).await;
    let setup = lab.setup(module.role());
    let mut guest = Guest::start(&lab.sandbox, &module, &setup)
        .await
        .expect("a guest");
    assert_eq!(guest.filter(&event()).await, Ok(Decision::Keep));
    let lines = setup.log.lines();
    assert_eq!(lines.len(), 1);
    let expected = "a signature was denied: secrets.OTHER = \"env:OTHER\"";
    assert_eq!(lines[0].message, expected);
}

#[tokio::test]
async fn the_clock_tells_the_time() {
    let lab = Lab::new();
    // Traps unless it is after 2020 and before 2100.
    let check = format!(
        "(local $now i64) (local.set $now (call $now))
         (if (i64.lt_u (local.get $now) (i64.const 1577836800000)) (then (unreachable)))
         (if (i64.gt_u (local.get $now) (i64.const 4102444800000)) (then (unreachable)))
         (i32.const {ANSWER})"
    );
    let source = Source::filter(check).import("now", "clock", "now-ms", "(result i64)");
    let mut guest = lab.start(&source).await.expect("a guest");
    assert_eq!(guest.filter(&event()).await, Ok(Decision::Keep));
}

#[tokio::test]
async fn a_line_in_the_log_is_free_of_secrets() {
    let lab = Lab::new();
    let write = format!(
        "(call $log (i32.const 3) (i32.const 512) (i32.const {})) (i32.const {ANSWER})",
        SECRET.len()
    );
    let source = Source::new(Role::Filter)
        .call(write)
        .import("log", "log", "write", "(param i32 i32 i32)")
        .data(512, SECRET.as_bytes());
    let module = lab.module(&source).await;
    let setup = lab.setup(module.role());
    let mut guest = Guest::start(&lab.sandbox, &module, &setup)
        .await
        .expect("a guest");
    assert_eq!(guest.filter(&event()).await, Ok(Decision::Keep));
    let lines = setup.log.lines();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].message, "(secret)");
    assert_eq!(lines[0].level, PluginLogLevel::Error);
}
