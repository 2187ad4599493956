use std::{
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use cpu_time::ThreadTime;
use futures_util::poll;
use tiny_forge::plugin_host::sandbox::{Decision, DeliveryContext, Fault, Guest};
use tokio::net::TcpListener;

use super::{
    guest::{ANSWER, Role, SPIN, SPIN_SILENTLY, Source, answer_word, drop_with},
    lab::{Lab, event, http},
    post::Post,
};

async fn fault_of(source: Source) -> Fault {
    let lab = Lab::new();
    let mut guest = lab.start(&source).await.expect("a guest");
    let fault = guest.filter(&event()).await.expect_err("a fault");
    assert!(guest.is_dead());
    assert_eq!(guest.filter(&event()).await, Err(Fault::Dead));
    fault
}

#[tokio::test]
async fn an_endless_loop_is_over_when_its_time_is() {
    let lab = Lab::new();
    let mut guest = lab.start(&Source::filter(SPIN)).await.expect("a guest");
    // The runtime of a test is this one thread, so its clock is the guest's.
    let began = ThreadTime::now();
    let fault = guest.filter(&event()).await.expect_err("a fault");
    ends_at(Duration::from_millis(50), fault, began.elapsed());
}

#[tokio::test]
async fn a_sink_has_ten_times_as_much_to_compute() {
    let lab = Lab::new();
    let source = Source::new(Role::Sink).call(SPIN);
    let mut guest = lab.start(&source).await.expect("a guest");
    let context = DeliveryContext {
        delivery_id: "d-1".into(),
        attempt: 1,
        first_attempt: event().time,
        test: false,
        public_url: None,
    };
    let began = ThreadTime::now();
    let fault = guest.deliver(&context, &[event()]).await;
    let computed = began.elapsed();
    ends_at(
        Duration::from_millis(500),
        fault.expect_err("a fault"),
        computed,
    );
}

#[tokio::test]
async fn who_computes_for_long_leaves_the_core_to_others_in_between() {
    let lab = Lab::new();
    let mut guest = lab
        .start_with(&Source::filter(SPIN), |setup| {
            setup.limits.call_cpu = Duration::from_millis(200);
        })
        .await;
    let (began, computing) = (Instant::now(), ThreadTime::now());
    guest.filter(&event()).await.expect_err("a fault");
    let (took, computed) = (began.elapsed(), computing.elapsed());
    assert!(took > computed.mul_f64(1.3), "{computed:?} in {took:?}");
}

/// Not a tick too early. How much too late depends on when a machine at work lets the
/// ticking thread run.
fn ends_at(limit: Duration, fault: Fault, computed: Duration) {
    assert_eq!(fault, Fault::OverCpu { limit });
    let least = limit - Duration::from_millis(2);
    let most = limit + Duration::from_millis(50);
    assert!(computed >= least && computed <= most, "{computed:?}");
}

#[tokio::test]
async fn what_the_host_computes_for_a_guest_is_the_guests_own_computing() {
    let lab = Lab::new();
    // Nearly a megabyte each time.
    let sign = "(call $sign (i32.const 512) (i32.const 5) (i32.const 1024) (i32.const 1000000)
        (i32.const 600))";
    let endless = format!("(loop $again {sign} (br $again)) (unreachable)");
    let source = Source::filter(endless)
        .import("sign", "sign", "hmac-sha256", "(param i32 i32 i32 i32 i32)")
        .data(512, b"TOKEN")
        .memory("20");
    let limit = Duration::from_millis(20);
    let mut guest = lab
        .start_with(&source, |setup| {
            setup.limits.call_cpu = limit;
            // So that nothing else ends it.
            setup.limits.host_calls = u32::MAX;
            setup.limits.wall = Duration::from_secs(60);
        })
        .await;
    let began = ThreadTime::now();
    let fault = guest.filter(&event()).await.expect_err("a fault");
    let computed = began.elapsed();
    assert_eq!(fault, Fault::OverCpu { limit });
    // One signature more, which nothing interrupts.
    assert!(computed < limit * 25, "{computed:?}");
}

#[tokio::test]
async fn another_guest_goes_on_while_one_computes() {
    let lab = Lab::new();
    let mut spinning = lab.start(&Source::filter(SPIN)).await.expect("a guest");
    let mut honest = lab
        .start(&Source::new(Role::Filter))
        .await
        .expect("a guest");
    let is_over = AtomicBool::new(false);
    let event = event();
    tokio::join!(
        async {
            let fault = spinning.filter(&event).await.expect_err("a fault");
            assert_eq!(fault.kind().as_str(), "over_cpu");
            is_over.store(true, Ordering::SeqCst);
        },
        async {
            for _ in 0..100 {
                assert_eq!(honest.filter(&event).await, Ok(Decision::Keep));
            }
            assert!(
                !is_over.load(Ordering::SeqCst),
                "it had to wait for the other"
            );
        }
    );
}

#[tokio::test]
async fn time_is_limited_before_the_first_call_too() {
    let lab = Lab::new();
    let module = lab
        .module(&Source::new(Role::Filter).start(SPIN_SILENTLY))
        .await;
    let mut setup = lab.setup(module.role());
    setup.limits.start_cpu = Duration::from_millis(50);
    let limit = setup.limits.start_cpu;
    let fault = Guest::start(&lab.sandbox, &module, &setup).await;
    assert_eq!(fault.err(), Some(Fault::OverStartCpu { limit }));

    let module = lab.module(&Source::new(Role::Filter).describe(SPIN)).await;
    let guest = Guest::start(&lab.sandbox, &module, &setup).await;
    let described = guest.expect("a guest").describe().await;
    assert_eq!(described, Err(Fault::OverStartCpu { limit }));
}

#[tokio::test]
async fn what_runs_around_a_call_is_limited_too() {
    let fault = fault_of(Source::new(Role::Filter).realloc(SPIN)).await;
    assert_eq!(fault.kind().as_str(), "over_cpu");
    let after = r#"(func (export "cabi_post_tiny-forge:plugin/filter-role@1.0.0#filter")
        (param i32) (loop $again (br $again)))"#;
    let fault = fault_of(Source::new(Role::Filter).extra(after)).await;
    assert_eq!(fault.kind().as_str(), "over_cpu");
}

#[tokio::test]
async fn start_describe_and_configure_share_one_budget() {
    let lab = Lab::new();
    // About 30 ms of computing, measured by the guest's own clock of rounds.
    let busy = "(local $n i32)
        (loop $again
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $n) (i32.const 20000000))))
        (i32.const 64)";
    let module = lab.module(&Source::new(Role::Filter).describe(busy)).await;
    let setup = lab.setup(module.role());
    let mut guest = Guest::start(&lab.sandbox, &module, &setup)
        .await
        .expect("a guest");
    let began = ThreadTime::now();
    guest.describe().await.expect("a description");
    let once = began.elapsed();

    let mut setup = setup;
    setup.limits.start_cpu = once * 5 / 2;
    let mut guest = Guest::start(&lab.sandbox, &module, &setup)
        .await
        .expect("a guest");
    let mut described = Vec::new();
    while described.len() < 5 && !guest.is_dead() {
        described.push(
            guest
                .describe()
                .await
                .map_err(|fault| fault.kind().as_str()),
        );
    }
    assert!(described[0].is_ok(), "{described:?}");
    assert_eq!(described.last(), Some(&Err("over_cpu")));
}

#[tokio::test]
async fn memory_ends_at_its_limit() {
    let grow = "(loop $again
        (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))";
    let fault = fault_of(Source::filter(format!("{grow} (unreachable)"))).await;
    assert_eq!(fault, Fault::OverMemory { limit: 64 << 20 });

    // A guest that can do without goes on.
    let lab = Lab::new();
    let frugal = Source::filter(format!("{grow} (i32.const {ANSWER})"));
    let mut guest = lab.start(&frugal).await.expect("a guest");
    assert_eq!(guest.filter(&event()).await, Ok(Decision::Keep));

    let huge = lab.start(&Source::new(Role::Filter).memory("2000")).await;
    assert_eq!(huge.err(), Some(Fault::OverMemory { limit: 64 << 20 }));
}

#[tokio::test]
async fn a_table_that_is_too_large_is_told_as_that_and_not_as_memory() {
    let lab = Lab::new();
    let table = Source::new(Role::Filter).extra("(table 1000000 funcref)");
    let refused = lab.start(&table).await.err().expect("a refusal");
    assert_eq!(refused, Fault::OverTables { limit: 100_000 });
    assert!(refused.to_string().contains("100000 elements"), "{refused}");
}

#[tokio::test]
async fn too_many_tables_are_no_unusable_answer() {
    let lab = Lab::new();
    let tables = "(table 0 funcref)".repeat(65);
    let source = Source::new(Role::Filter).extra(&tables);
    let refused = lab.start(&source).await.err().expect("a refusal");
    let what = "tables";
    assert_eq!(refused, Fault::OverParts { limit: 64, what });
    assert_eq!(refused.kind().as_str(), "over_memory");
    assert!(refused.to_string().contains("fewer"), "{refused}");
}

#[tokio::test]
async fn deep_recursion_is_a_trap() {
    let deep = "(func $deep (param i64) (call $deep (local.get 0)) (drop (i64.const 1)))";
    let call = format!("(call $deep (i64.const 1)) (i32.const {ANSWER})");
    let fault = fault_of(Source::filter(call).extra(deep)).await;
    let Fault::Trap { message, .. } = fault else {
        panic!("{fault}");
    };
    assert_eq!(message, "call stack exhausted");
}

#[tokio::test]
async fn a_trap_says_what_and_where() {
    let inner = "(func $inner_function (unreachable))";
    let source = Source::filter("(call $inner_function) (unreachable)").extra(inner);
    let fault = fault_of(source).await;
    let Fault::Trap {
        message, backtrace, ..
    } = &fault
    else {
        panic!("{fault}");
    };
    assert!(message.contains("unreachable"), "{message}");
    assert_eq!(backtrace[..2], ["inner_function", "call"]);
    assert!(
        fault.to_string().contains("\n  at inner_function"),
        "{fault}"
    );
}

#[tokio::test]
async fn host_calls_are_counted() {
    let log = |source: Source| source.import("log", "log", "write", "(param i32 i32 i32)");
    let write = "(call $log (i32.const 1) (i32.const 16) (i32.const 2))";
    let endless = format!("(loop $again {write} (br $again)) (unreachable)");
    let fault = fault_of(log(Source::filter(endless))).await;
    assert_eq!(fault, Fault::HostCalls { limit: 32 });

    // The count is of one call, not of a life.
    let lab = Lab::new();
    let modest = log(Source::filter(
        write.repeat(20) + &format!("(i32.const {ANSWER})"),
    ));
    let mut guest = lab.start(&modest).await.expect("a guest");
    for _ in 0..5 {
        assert_eq!(guest.filter(&event()).await, Ok(Decision::Keep));
    }
}

#[tokio::test]
async fn what_a_guest_hands_over_is_limited() {
    let big = |bytes: u32| {
        Source::filter(drop_with("(i32.const 0)", &format!("(i32.const {bytes})"))).memory("64")
    };
    let fault = fault_of(big((1 << 20) + 1)).await;
    assert_eq!(fault, Fault::Output { limit: 1 << 20 });
    // Beyond its own memory there is nothing to hand over.
    let fault = fault_of(big(1 << 30)).await;
    assert!(
        ["output", "bad_answer"].contains(&fault.kind().as_str()),
        "{fault}"
    );

    let log =
        format!("(call $log (i32.const 1) (i32.const 0) (i32.const 2000000)) (i32.const {ANSWER})");
    let source = Source::filter(log).memory("64");
    let source = source.import("log", "log", "write", "(param i32 i32 i32)");
    assert_eq!(fault_of(source).await.kind().as_str(), "output");
}

#[tokio::test]
async fn a_call_that_is_given_up_leaves_a_dead_guest() {
    let lab = Lab::new();
    let mut guest = lab.start(&Source::filter(SPIN)).await.expect("a guest");
    let event = event();
    let given_up = tokio::time::timeout(Duration::from_millis(10), guest.filter(&event)).await;
    assert!(given_up.is_err());
    assert!(guest.is_dead());
    assert_eq!(guest.filter(&event).await, Err(Fault::Dead));
}

#[tokio::test]
async fn ten_thousand_calls_that_are_given_up_leave_nothing_behind() {
    let lab = Lab::new();
    let call =
        format!("(call $get (i32.const 512) (i32.const 1) (i32.const 600)) (i32.const {ANSWER})");
    let waiting = Source::filter(call)
        .import("get", "store", "get", "(param i32 i32 i32)")
        .data(512, b"k");
    let module = lab.module(&waiting).await;
    let setup = lab.setup(module.role());
    let event = event();
    let mut given_up = 0;
    while given_up < 10_000 {
        let mut guest = Guest::start(&lab.sandbox, &module, &setup)
            .await
            .expect("a guest");
        // Now and then the store is as quick.
        given_up += usize::from(poll!(pin!(guest.filter(&event))).is_pending());
    }
    let left = setup.metrics.memory();
    assert_eq!((left.guests, left.bytes), (0, 0));
    let mut honest = Guest::start(&lab.sandbox, &module, &setup)
        .await
        .expect("a guest");
    assert_eq!(honest.filter(&event).await, Ok(Decision::Keep));
}

#[tokio::test]
async fn the_wall_clock_ends_a_call_that_only_waits() {
    let lab = Lab::new();
    // It takes connections, and never says anything.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = silent.local_addr().expect("an address");
    let origin = format!("http://{address}");
    let post = Post {
        url: &origin,
        ..Post::default()
    };
    let again = format!("(loop $again {} (br $again)) (unreachable)", post.call());
    let limit = Duration::from_millis(500);
    let mut guest = lab
        .start_with(&post.source().call(again), |setup| {
            setup.http = http(&[&origin], &["127.0.0.1/32"], &[]);
            // Whatever certificates take to be read.
            setup.limits.call_cpu = Duration::from_secs(60);
            setup.limits.host_calls = u32::MAX;
            setup.limits.wall = limit;
        })
        .await;
    let (began, computing) = (Instant::now(), ThreadTime::now());
    let fault = guest.filter(&event()).await.expect_err("a fault");
    let (took, computed) = (began.elapsed(), computing.elapsed());
    assert_eq!(fault, Fault::OverWall { limit });
    assert!(took >= limit && took < limit * 10, "{took:?}");
    assert!(computed < limit / 2, "it computed for {computed:?}");
}

#[tokio::test]
async fn instances_share_no_memory() {
    let lab = Lab::new();
    // Drops with how many calls this instance has had.
    let count = "(global.set $count (i32.add (global.get $count) (i32.const 1)))
        (i32.store8 (i32.const 32) (i32.add (i32.load8_u (i32.const 32)) (i32.const 1)))
        (i32.store8 (i32.const 40) (i32.add (i32.load8_u (i32.const 32)) (i32.const 48)))";
    let source = Source::filter(count.to_owned() + &drop_with("(i32.const 40)", "(i32.const 1)"));
    let module = lab.module(&source).await;
    let setup = lab.setup(module.role());
    let mut first = Guest::start(&lab.sandbox, &module, &setup)
        .await
        .expect("a guest");
    let mut second = Guest::start(&lab.sandbox, &module, &setup)
        .await
        .expect("a guest");
    let nth = |number: &str| Ok(Decision::Drop(number.into()));
    assert_eq!(first.filter(&event()).await, nth("1"));
    assert_eq!(first.filter(&event()).await, nth("2"));
    assert_eq!(second.filter(&event()).await, nth("1"));
}

#[tokio::test]
async fn a_thousand_instances_come_and_go() {
    let lab = Lab::new();
    let source = Source::filter(answer_word(0, "(i32.const 0)") + &format!("(i32.const {ANSWER})"));
    let module = lab.module(&source).await;
    let setup = lab.setup(module.role());
    for _ in 0..1000 {
        let mut guest = Guest::start(&lab.sandbox, &module, &setup)
            .await
            .expect("a guest");
        assert_eq!(guest.filter(&event()).await, Ok(Decision::Keep));
    }
}
