//! Guests that mean harm, each with the fault that it comes to.

use super::guest::{
    ANSWER, Role, SPIN, SPIN_SILENTLY, Source, answer_byte, answer_word, contract,
    contract_with_resource, drop_with,
};

/// Beyond what calls are given.
const FAR: u32 = 1 << 20;

/// One that means harm.
pub struct Hostile {
    pub name: &'static str,
    pub wasm: Vec<u8>,
    /// The word for what it comes to.
    pub kind: &'static str,
    /// It does not even start.
    pub at_start: bool,
    /// What the operator set for it, as TOML.
    pub limits: &'static str,
    /// Otherwise it is a step.
    pub is_sink: bool,
}

impl Hostile {
    /// It, in a pipeline of its own for events of type `when`; steps before a sink `late`.
    pub fn toml(&self, when: &str) -> String {
        let Self { name, limits, .. } = self;
        let steps_and_sinks = if self.is_sink {
            format!("sinks = [\"{name}\"]")
        } else {
            format!("steps = [\"{name}\"]\nsinks = [\"late\"]")
        };
        format!(
            "[plugin.{name}]\nfile = \"{name}.wasm\"\n{limits}\
             [pipeline.{name}]\nwhen.type = \"{when}\"\n{steps_and_sinks}\n"
        )
    }
}

/// All of them; most are filters and enrichers, since those are asked about every event.
pub fn all() -> Vec<Hostile> {
    [
        computing(),
        growing(),
        trapping(),
        telling(),
        delivering(),
        damaged(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn in_call(name: &'static str, source: &Source, kind: &'static str) -> Hostile {
    Hostile {
        at_start: false,
        ..file(name, source.component(), kind)
    }
}

fn at_start(name: &'static str, source: &Source, kind: &'static str) -> Hostile {
    file(name, source.component(), kind)
}

fn file(name: &'static str, wasm: Vec<u8>, kind: &'static str) -> Hostile {
    Hostile {
        name,
        wasm,
        kind,
        at_start: true,
        limits: "",
        is_sink: false,
    }
}

fn computing() -> Vec<Hostile> {
    let filter = || Source::new(Role::Filter);
    let after = r#"(func (export "cabi_post_tiny-forge:plugin/filter-role@1.0.0#filter")
        (param i32) (loop $again (br $again)))"#;
    vec![
        in_call("loop", &Source::filter(SPIN), "over_cpu"),
        at_start("loop-in-realloc", &filter().realloc(SPIN), "over_cpu"),
        in_call("loop-after-call", &filter().extra(after), "over_cpu"),
        at_start("loop-in-start", &filter().start(SPIN_SILENTLY), "over_cpu"),
        at_start("loop-in-describe", &filter().describe(SPIN), "over_cpu"),
        Hostile {
            limits: "limits.cpu_ms = 10000\nlimits.wall_ms = 200\n",
            ..in_call("never-back", &Source::filter(SPIN), "over_wall")
        },
    ]
}

fn growing() -> Vec<Hostile> {
    let grow = "(loop $again
        (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (unreachable)";
    // Memory that is only asked for costs nothing: this one is written to.
    let fill = "(local $at i32)
        (loop $again
            (local.set $at (memory.grow (i32.const 1)))
            (if (i32.ne (local.get $at) (i32.const -1)) (then
                (local.set $at (i32.mul (local.get $at) (i32.const 65536)))
                (loop $touch
                    (i32.store8 (local.get $at) (i32.const 1))
                    (local.set $at (i32.add (local.get $at) (i32.const 4096)))
                    (br_if $touch (i32.and (local.get $at) (i32.const 65535))))
                (br $again))))
        (unreachable)";
    let table = "(table 1000000 funcref)";
    let filter = || Source::new(Role::Filter);
    vec![
        in_call("grow", &Source::filter(grow), "over_memory"),
        in_call("fill", &Source::filter(fill), "over_memory"),
        at_start("huge-memory", &filter().memory("2000"), "over_memory"),
        at_start("huge-table", &filter().extra(table), "over_memory"),
        Hostile {
            at_start: false,
            ..file(
                "handles",
                hoarder("(drop (call $new (i32.const 0)))"),
                "handles",
            )
        },
        Hostile {
            at_start: false,
            ..file(
                "handle-churn",
                hoarder("(call $drop (call $new (i32.const 0)))"),
                "over_cpu",
            )
        },
    ]
}

/// Makes resources of its own for ever, which the host keeps in tables.
fn hoarder(makes_one: &str) -> Vec<u8> {
    let dir = contract_with_resource();
    let constructor = r#"(func (export "tiny-forge:plugin/hoard@1.0.0#[constructor]thing")
        (result i32) (call $new (i32.const 0)))"#;
    Source::filter(format!(
        "(loop $again {makes_one} (br $again)) (unreachable)"
    ))
    .import_own(
        "new",
        "hoard",
        "[resource-new]thing",
        "(param i32) (result i32)",
    )
    .import_own("drop", "hoard", "[resource-drop]thing", "(param i32)")
    .extra(constructor)
    .wit(dir.path())
    .component()
}

fn trapping() -> Vec<Hostile> {
    let deep = "(func $deep (param i64) (call $deep (local.get 0)) (drop (i64.const 1)))";
    let recursion = format!("(call $deep (i64.const 1)) (i32.const {ANSWER})");
    let recursion = Source::filter(recursion).extra(deep);
    let init = Source::new(Role::Filter).start("(unreachable)");
    vec![
        in_call("trap", &Source::filter("(unreachable)"), "trap"),
        in_call("recursion", &recursion, "trap"),
        at_start("trap-in-init", &init, "trap"),
    ]
}

/// What they say to the host.
fn telling() -> Vec<Hostile> {
    let log = |length: u32| format!("(call $log (i32.const 1) (i32.const 0) (i32.const {length}))");
    let logging = |call: String| {
        let source = Source::filter(call).memory("64");
        source.import("log", "log", "write", "(param i32 i32 i32)")
    };
    let flood = logging(format!(
        "(loop $again {} (br $again)) (unreachable)",
        log(2)
    ));
    let shout = logging(log(2 << 20) + "(unreachable)");
    let says = |at: &str, bytes: u32| {
        let length = format!("(i32.const {bytes})");
        Source::filter(drop_with(at, &length)).memory("64")
    };
    let surrogate = says("(i32.const 512)", 1).data(512, b"\x00\xd8");
    let surrogate = surrogate.data(16, b"{\0}\0").utf16();
    // 200,000 capabilities, 16 bytes each, where the description has their list.
    let list = Source::new(Role::Filter).memory("64");
    let list = list.data(96, b"\0\0\x01\0\x40\x0d\x03\0");
    let deep_json = [
        answer_byte(4, 1),
        answer_word(8, &format!("(i32.const {FAR})")),
        answer_word(12, "(i32.const 100000)"),
        format!("(i32.const {ANSWER})"),
    ];
    let deep_json = Source::new(Role::Enricher).call(deep_json.concat());
    let deep_json = deep_json.memory("64").data(FAR, &b"[".repeat(100_000));
    vec![
        in_call("flood", &flood, "host_calls"),
        in_call("shout", &shout, "output"),
        in_call("gigabyte", &says("(i32.const 0)", 1 << 30), "bad_answer"),
        in_call("megabyte", &says("(i32.const 0)", (1 << 20) + 1), "output"),
        at_start("long-list", &list, "output"),
        in_call("headers", &many_headers(), "output"),
        in_call("no-unicode", &surrogate, "bad_answer"),
        in_call("nowhere", &Source::filter("(i32.const -16)"), "bad_answer"),
        in_call("deep-json", &deep_json, "bad_answer"),
    ]
}

/// A request with 100,000 headers.
fn many_headers() -> Source {
    let nothing = "(i32.const 0) ".repeat(4);
    let send = format!(
        "(call $send (i32.const 512) (i32.const 4) (i32.const 520) (i32.const 17)
            (i32.const 65536) (i32.const 100000) {nothing} (i32.const 0) (i32.const 600))
         (unreachable)"
    );
    let params = format!("(param{})", " i32".repeat(12));
    Source::filter(send)
        .import("send", "http", "send", &params)
        .memory("64")
        .data(512, b"POST")
        .data(520, b"http://127.0.0.1/")
}

/// Sinks, which are asked again and again about the same event.
fn delivering() -> Vec<Hostile> {
    let sink = |name, call: &str, kind| Hostile {
        is_sink: true,
        ..in_call(name, &Source::new(Role::Sink).call(call), kind)
    };
    vec![
        sink("sink-loop", SPIN, "over_cpu"),
        sink("sink-trap", "(unreachable)", "trap"),
        sink("sink-nowhere", "(i32.const -16)", "bad_answer"),
    ]
}

/// What is wrong with their files.
fn damaged() -> Vec<Hostile> {
    let newer = contract("2.0.0", "");
    let newer = Source::new(Role::Filter).wit(newer.path());
    let wasi = r#"(component (import "wasi:random/random@0.2.0" (instance)))"#;
    let mut cut = Source::new(Role::Filter).component();
    cut.truncate(cut.len() / 2);
    vec![
        at_start("newer", &newer, "contract"),
        file(
            "wasi",
            wat::parse_str(wasi).expect("a component"),
            "contract",
        ),
        file("cut", cut, "invalid"),
        file("text", b"#!/bin/sh".to_vec(), "invalid"),
        file("too-large", vec![0; (64 << 20) + 1], "too_large"),
        at_start("schema-bomb", &schema_bomb(), "bad_answer"),
    ]
}

/// A schema that is twice as large with each of its levels.
fn schema_bomb() -> Source {
    let mut schema = r##"{"$ref":"#/$defs/d40","$defs":{"d0":{}"##.to_owned();
    for level in 1..=40 {
        let below = format!(r##"{{"$ref":"#/$defs/d{}"}}"##, level - 1);
        schema += &format!(r#","d{level}":{{"allOf":[{below},{below}]}}"#);
    }
    schema += "}}";
    let place = [FAR, schema.len() as u32].map(u32::to_le_bytes).concat();
    Source::new(Role::Filter)
        .memory("64")
        .data(88, &place)
        .data(FAR, schema.as_bytes())
}

/// One function of so many conditions: for 60,000 the compiler takes a minute.
pub fn compile_bomb(conditions: usize) -> Vec<u8> {
    let condition = "(if (local.get 0) (then (local.set 0 (i32.mul (local.get 0) (i32.const 3)))))";
    let bomb = format!("(func $bomb (param i32) {})", condition.repeat(conditions));
    Source::new(Role::Filter).extra(&bomb).component()
}
