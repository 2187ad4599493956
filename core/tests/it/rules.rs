//! What the filter `rules` costs, in instructions: they are the same on every machine. Its
//! time is linear in events and rules, and what could take longer is refused.

use std::sync::LazyLock;

use serde_json::{Value, json};
use wasmtime::{
    Config, Engine, Store,
    component::{Component, Func, Linker, Val},
};

use crate::support::folder::built;

/// More than anything here takes.
const FUEL: u64 = 1 << 40;

/// Of payloads: each twice as large as the one before.
const SIZES_BYTES: [usize; 5] = [4_000, 8_000, 16_000, 32_000, 64_000];

/// What is linear costs as much for each byte, however many there are. A square would come to
/// 1,600 %.
const LINEAR_PERCENT: u64 = 110;

/// Keys of an object are sorted as they are read: with 16 times as many, each is held against
/// four others more.
const SORTED_PERCENT: u64 = 300;

/// The parser copies what a method is called on, which is a square in the length of an
/// expression. This is as far as it gets with what may be written: a small part of the second
/// that a plugin has to start.
const READING_MAX: u64 = 300_000_000;

/// Fuel is taken for each instruction, and for each byte that one of them copies. In the sandbox
/// it is time that is limited.
static COMPONENT: LazyLock<Component> = LazyLock::new(|| {
    let mut config = Config::new();
    config.consume_fuel(true);
    let engine = Engine::new(&config).expect("an engine");
    Component::from_file(&engine, built("rules")).expect("a component")
});

/// Of so many bytes, about.
type Payload = fn(usize) -> String;

/// One instance of the filter; nothing is around it.
struct Guest {
    store: Store<()>,
    configure: Func,
    filter: Func,
}

impl Guest {
    fn start() -> Self {
        let mut linker = Linker::new(COMPONENT.engine());
        let imports = linker.define_unknown_imports_as_traps(&COMPONENT);
        imports.expect("imports that it does not call");
        let mut store = Store::new(COMPONENT.engine(), ());
        store.set_fuel(FUEL).expect("fuel is counted");
        let instance = linker.instantiate(&mut store, &COMPONENT);
        let instance = instance.expect("an instance");
        let mut export = |interface: &str, name: &str| {
            let interface = format!("tiny-forge:plugin/{interface}@1.0.0");
            let interface = instance.get_export_index(&mut store, None, &interface);
            let index = instance.get_export_index(&mut store, interface.as_ref(), name);
            let index = index.expect("an export of the contract");
            instance.get_func(&mut store, index).expect("a function")
        };
        let configure = export("plugin", "configure");
        let filter = export("filter-role", "filter");
        Self {
            store,
            configure,
            filter,
        }
    }

    /// The answer, and what it cost.
    fn call(&mut self, function: Func, argument: Val) -> (Val, u64) {
        self.store.set_fuel(FUEL).expect("fuel is counted");
        let mut answer = [Val::Bool(false)];
        let called = function.call(&mut self.store, &[argument], &mut answer);
        called.expect("no trap");
        let left = self.store.get_fuel().expect("fuel is counted");
        let [answer] = answer;
        (answer, FUEL - left)
    }

    /// Rules that keep what these expressions hold for; what is wrong with them otherwise.
    fn configure(&mut self, expressions: &[String]) -> (Result<(), String>, u64) {
        let rules: Vec<Value> = expressions
            .iter()
            .map(|expression| json!({ "keep_if": expression, "reason": "test" }))
            .collect();
        let config = json!({ "rules": rules, "otherwise": "drop" }).to_string();
        let (answer, cost) = self.call(self.configure, Val::String(config));
        match answer {
            Val::Result(Ok(_)) => (Ok(()), cost),
            Val::Result(Err(errors)) => (Err(format!("{errors:?}")), cost),
            other => panic!("{other:?}"),
        }
    }

    /// Whether it keeps an event with this payload.
    fn filter(&mut self, payload: &str) -> (bool, u64) {
        let (answer, cost) = self.call(self.filter, event(payload));
        let keep = Val::Variant("keep".to_owned(), None);
        (answer == Val::Result(Ok(Some(Box::new(keep)))), cost)
    }
}

fn event(payload: &str) -> Val {
    let text = |text: &str| Val::String(text.to_owned());
    let fields = [
        ("id", Val::U64(7)),
        ("type", text("deploy_status")),
        ("time", text("2026-03-27T22:30:25.123Z")),
        ("node", text("n-1")),
        ("subject", text("shop/prod/deploys/17")),
        ("severity", Val::Enum("warning".to_owned())),
        ("actor", text("user:alex")),
        ("cause", Val::Option(None)),
        ("payload", text(payload)),
        ("annotations", text("{}")),
    ];
    Val::Record(fields.map(|(name, value)| (name.to_owned(), value)).into())
}

/// What a byte of a payload costs at most, measured by what it costs in the smallest. The last
/// of the expressions holds for each payload.
fn growth_percent(expressions: &[String], payload: impl Fn(usize) -> String) -> u64 {
    let mut guest = Guest::start();
    let (verdict, _) = guest.configure(expressions);
    verdict.expect("sound rules");
    // What is made once is made.
    guest.filter("{}");
    let costs = SIZES_BYTES.map(|bytes| {
        let payload = payload(bytes);
        let (is_kept, cost) = guest.filter(&payload);
        assert!(is_kept, "{:?} does not hold", expressions.last());
        // In thousandths: some bytes cost only a few instructions.
        cost * 1_000 / payload.len() as u64
    });
    let most = costs.iter().max().expect("there are sizes");
    most * 100 / costs[0]
}

fn list(bytes: usize, item: &str) -> String {
    format!("[{}]", vec![item; bytes / (item.len() + 1)].join(","))
}

/// Of an object, each with a comma behind it.
fn members(bytes: usize, prefix: &str) -> String {
    let count = bytes / format!("\"{prefix}00000000\":1,").len();
    let members = (0..count).map(|n| format!("\"{prefix}{n:08}\":1,"));
    members.collect()
}

#[test]
fn what_an_event_costs_grows_no_faster_than_its_text() {
    let cases: [(&str, Payload); 10] = [
        // Whoever begins anew behind each `a` takes a square.
        ("!payload.text.contains(payload.part)", |bytes| {
            let (text, half) = ("a".repeat(bytes), "a".repeat(bytes / 4));
            json!({ "text": text, "part": format!("{half}b{half}") }).to_string()
        }),
        ("payload.text == payload.other", |bytes| {
            json!({ "text": "a".repeat(bytes), "other": "a".repeat(bytes) }).to_string()
        }),
        // Items that differ at their ends only.
        ("!(payload.item in payload.list)", |bytes| {
            let (item, other) = ("a".repeat(50), format!("\"{}b\"", "a".repeat(49)));
            format!("{{\"item\":\"{item}\",\"list\":{}}}", list(bytes, &other))
        }),
        ("!(payload.item in payload.list)", |bytes| {
            let (item, other) = ("7,".repeat(50) + "7", "7,".repeat(50) + "8");
            let others = list(bytes, &format!("[{other}]"));
            format!("{{\"item\":[{item}],\"list\":{others}}}")
        }),
        ("!(7.5 in payload.list)", |bytes| {
            format!("{{\"list\":{}}}", list(bytes, "1.25e2"))
        }),
        ("payload.number < 1", |bytes| {
            format!("{{\"number\":0.{}}}", "1".repeat(bytes))
        }),
        ("size(payload.text) > 0", |bytes| {
            format!("{{\"text\":\"{}\"}}", r"\ud83d\ude00".repeat(bytes / 12))
        }),
        // The last of those of one name counts.
        ("payload.step == 7", |bytes| {
            let same = "\"step\":[1,2,3],".repeat(bytes / 15);
            format!("{{{same}\"step\":7}}")
        }),
        // What no rule names, and the same where one does.
        ("payload.step == 7", |bytes| {
            let deep = "[".repeat(100) + &"]".repeat(100);
            format!("{{\"rest\":{},\"step\":7}}", list(bytes, &deep))
        }),
        ("size(payload.rest) > 0", |bytes| {
            let deep = "[".repeat(100) + &"]".repeat(100);
            format!("{{\"rest\":{}}}", list(bytes, &deep))
        }),
    ];
    for (expression, payload) in cases {
        let growth = growth_percent(&[expression.to_owned()], payload);
        assert!(growth <= LINEAR_PERCENT, "{expression}: {growth} %");
    }
}

#[test]
fn the_longest_expression_and_many_rules_leave_it_at_that() {
    let long = filled("", "payload.text.contains('ba') || ", "true");
    let growth = growth_percent(&[long], |bytes| {
        json!({ "text": "b".repeat(bytes) }).to_string()
    });
    assert!(growth <= LINEAR_PERCENT, "one long expression: {growth} %");

    // Every other member is one that a rule names.
    let names = (0..200).map(|n| format!("payload.f{:08} == 2", n * 2));
    let rules: Vec<String> = names.chain(["true".to_owned()]).collect();
    let growth = growth_percent(&rules, |bytes| {
        let some = members(400 * 14, "f");
        format!("{{{}\"last\":7}}", some.repeat(bytes.div_ceil(some.len())))
    });
    assert!(growth <= LINEAR_PERCENT, "many rules: {growth} %");
}

#[test]
fn an_object_that_is_read_as_a_whole_costs_the_sorting_of_its_keys_besides() {
    let cases: [(&str, Payload); 3] = [
        ("size(payload) > 0", |bytes| {
            format!("{{{}\"last\":7}}", members(bytes, "key-"))
        }),
        ("payload.left == payload.right", |bytes| {
            let same = format!("{{{}\"last\":7}}", members(bytes / 2, "key-"));
            format!("{{\"left\":{same},\"right\":{same}}}")
        }),
        ("size(payload.map) > 0", |bytes| {
            let prefix = "a".repeat(100);
            format!("{{\"map\":{{{}\"last\":7}}}}", members(bytes, &prefix))
        }),
    ];
    for (expression, payload) in cases {
        let growth = growth_percent(&[expression.to_owned()], payload);
        assert!(growth <= SORTED_PERCENT, "{expression}: {growth} %");
    }
}

#[test]
fn what_rules_cost_grows_no_faster_than_their_number() {
    // Names of fields are sorted at the first event.
    for (field, most) in [("failure.f", LINEAR_PERCENT), ("f", SORTED_PERCENT)] {
        let costs = [500, 1_000, 2_000, 4_000].map(|count: u64| {
            let rules: Vec<String> = (0..count)
                .map(|n| format!("payload.{field}{n:08} == 1 || stage in ['a', 'b']"))
                .collect();
            let mut guest = Guest::start();
            let (verdict, reading) = guest.configure(&rules);
            verdict.expect("sound rules");
            let (is_kept, looking) = guest.filter(r#"{"failure":{"step":"gate"}}"#);
            assert!(!is_kept, "no rule holds");
            (reading / count, looking / count)
        });
        let [(first_reading, first_looking), ..] = costs;
        for (reading, looking) in costs {
            let growth = [reading * 100 / first_reading, looking * 100 / first_looking];
            let holds = growth.iter().all(|percent| *percent <= most);
            assert!(holds, "{field}, reading and looking: {growth:?} %");
        }
    }
}

#[test]
fn what_could_take_long_is_refused_with_the_reason_before_it_does() {
    for (expression, reason) in hostile() {
        let (verdict, cost) = Guest::start().configure(std::slice::from_ref(&expression));
        let begin: String = expression.chars().take(60).collect();
        let told = verdict.expect_err(&begin);
        assert!(told.contains(reason), "{begin}: {told}");
        assert!(cost <= READING_MAX, "{begin}: {cost}");
    }
}

/// Each with what is said of it.
fn hostile() -> Vec<(String, &'static str)> {
    const LOOPS: &str = "all, exists, exists_one, filter and map are not there in rules";
    const PATTERNS: &str = "`matches` is not there in rules";
    const SUMS: &str = "rules do not calculate";
    const DEEP: &str = "it nests too deeply";
    const BRACKETS: &str = "it has too many brackets within each other";
    const LONG: &str = "it goes on beyond 2000 characters";

    let nested = |open: &str, depth: usize, close: &str| {
        let (open, close) = (open.repeat(depth), close.repeat(depth));
        format!("{open}true{close}")
    };
    let mut hostile = vec![
        ("payload.text.matches('(a+)+$')".to_owned(), PATTERNS),
        (filled("payload.text.matches('", "(a|a)*", "b')"), PATTERNS),
        ("payload.text + payload.text == 'aa'".to_owned(), SUMS),
        (filled("", "payload.text + ", "'a' == 'a'"), DEEP),
        (filled("", "size(payload.text) * ", "2 > 1"), SUMS),
        (filled("payload.text", ".contains('a')", ""), DEEP),
        (filled("payload", ".a", " == 1"), DEEP),
        (filled("payload", "[0]", " == 1"), DEEP),
        (filled("", "true ? true : ", "true"), DEEP),
        (filled("", "!-", "true"), DEEP),
        (filled("", "1 == ", "1"), DEEP),
        (nested("(true && ", 30, ")"), BRACKETS),
        (nested("{1: ", 40, "}"), BRACKETS),
        (nested("[", 40, "]"), BRACKETS),
        ("true".to_owned() + &" ".repeat(2_000), LONG),
        ("(".repeat(900_000), LONG),
    ];
    for name in ["all", "exists", "exists_one", "filter", "map"] {
        let open = format!("payload.list.{name}(x, ");
        let chained = filled("payload.list", &format!(".{name}(x,x)"), "");
        hostile.extend([
            (nested(&open, 1, ")"), LOOPS),
            (nested(&open, 20, ")"), LOOPS),
            (nested(&open, 40, ")"), BRACKETS),
            (chained, LOOPS),
        ]);
    }
    hostile
}

/// As long as an expression may be.
fn filled(begin: &str, part: &str, end: &str) -> String {
    let count = (2_000 - begin.len() - end.len()) / part.len();
    format!("{begin}{}{end}", part.repeat(count))
}
