use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Map, Value};
use tokio::time::sleep;
use wasmtime::{Store, UpdateDeadline};

use super::{
    Decision, DeliveryContext, DeliveryOutcome, Description, Fault, FieldError, GuestEvent,
    HostState, Module, Sandbox, Setup, call::Call, clean, contract::Exports, limits::HANDLES_MAX,
    meter::Meter, ticker::TICK,
};
use crate::{
    model::{PluginRole, TestRequest},
    scrub::Scrubber,
    store::PluginWrite,
};

/// Who has computed for longer in one call rests as long as it computes from then on, a tick
/// each: what waits for the same core, plugins and server, has it in between.
const TAKES_TURNS_AFTER: Duration = Duration::from_millis(5);

/// One running instance; owned by one task.
pub struct Guest {
    sandbox: Sandbox,
    store: Store<HostState>,
    meter: Arc<Meter>,
    role: PluginRole,
    exports: Exports,
    life: Life,
    /// Computed so far while starting.
    start_spent: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Idle,
    /// A call that is given up half-way leaves it so for ever.
    Calling,
    Dead,
}

/// Which budget of computing a call is charged to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Budget {
    Start,
    Call,
}

impl Guest {
    /// Instantiates. All limits hold from here on: a component's start functions
    /// are its own code too.
    pub async fn start(sandbox: &Sandbox, module: &Module, setup: &Setup) -> Result<Self, Fault> {
        let meter = Arc::new(Meter::default());
        let mut store = new_store(sandbox, setup, &meter);
        let ends = arm(&mut store, &meter, Budget::Start, Duration::ZERO);
        let ended = {
            let asked = pin!(module.instantiate(&mut store));
            call(sandbox, &meter, ends).run(asked).await
        };
        let exports = judge(Budget::Start, ended, &store)
            .map_err(|fault| clean::fault(fault, setup.secrets.scrubber()))?;
        Ok(Self {
            sandbox: sandbox.clone(),
            start_spent: meter.spent(),
            store,
            meter,
            role: module.role(),
            exports,
            life: Life::Idle,
        })
    }

    pub async fn describe(&mut self) -> Result<Description, Fault> {
        let ends = self.begin(Budget::Start)?;
        let ended = {
            let asked = pin!(self.exports.describe(&mut self.store));
            call(&self.sandbox, &self.meter, ends).run(asked).await
        };
        let answer = self.end(Budget::Start, ended)?;
        let told = answer.and_then(|told| clean::description(told, self.scrubber()));
        told.map_err(|problem| self.die(Fault::BadAnswer(problem)))
    }

    /// `config` is a JSON object. The inner error is the guest's own verdict.
    pub async fn configure(&mut self, config: &str) -> Result<Result<(), Vec<FieldError>>, Fault> {
        let ends = self.begin(Budget::Start)?;
        let ended = {
            let asked = pin!(self.exports.configure(&mut self.store, config));
            call(&self.sandbox, &self.meter, ends).run(asked).await
        };
        let verdict = self.end(Budget::Start, ended)?;
        self.store.data_mut().writes.keep();
        Ok(verdict.map_err(|errors| clean::field_errors(errors, self.scrubber())))
    }

    pub async fn filter(&mut self, event: &GuestEvent) -> Result<Decision, Fault> {
        let ends = self.begin_as(PluginRole::Filter)?;
        let event = self.store.data().setup.disarm(event);
        let mut texts = String::new();
        let ended = {
            let asked = pin!(self.exports.filter(&mut self.store, &event, &mut texts));
            call(&self.sandbox, &self.meter, ends).run(asked).await
        };
        let answer = self.end(Budget::Call, ended)?;
        let decision = answer.map_err(|reason| self.refused(reason))?;
        self.store.data_mut().writes.keep();
        Ok(clean::decision(decision, self.scrubber()))
    }

    /// What it adds to the event, if anything.
    pub async fn enrich(
        &mut self,
        event: &GuestEvent,
    ) -> Result<Option<Map<String, Value>>, Fault> {
        let ends = self.begin_as(PluginRole::Enricher)?;
        let event = self.store.data().setup.disarm(event);
        let ended = {
            let asked = pin!(self.exports.enrich(&mut self.store, &event));
            call(&self.sandbox, &self.meter, ends).run(asked).await
        };
        let answer = self.end(Budget::Call, ended)?;
        let answer = answer.map_err(|reason| self.refused(reason))?;
        let added = answer.map(|added| clean::annotation(&added, self.scrubber()));
        let added = added.transpose();
        let added = added.map_err(|problem| self.die(Fault::BadAnswer(problem)))?;
        self.store.data_mut().writes.keep();
        Ok(added)
    }

    pub async fn deliver(
        &mut self,
        context: &DeliveryContext,
        events: &[GuestEvent],
    ) -> Result<DeliveryOutcome, Fault> {
        let ends = self.begin_as(PluginRole::Sink)?;
        let setup = &self.store.data().setup;
        let events: Vec<_> = events.iter().map(|event| setup.disarm(event)).collect();
        let ended = {
            let asked = pin!(self.exports.deliver(&mut self.store, context, &events));
            call(&self.sandbox, &self.meter, ends).run(asked).await
        };
        let outcome = self.end(Budget::Call, ended)?;
        self.store.data_mut().writes.keep();
        Ok(clean::outcome(outcome, self.scrubber()))
    }

    /// What successful calls wrote to `store` since the last take. The owner
    /// commits it in the transaction of their result, before the next call.
    pub fn take_writes(&mut self) -> Vec<PluginWrite> {
        self.store.data_mut().writes.take()
    }

    /// The HTTP requests of the last call, in order.
    pub fn take_requests(&mut self) -> Vec<TestRequest> {
        std::mem::take(&mut self.store.data_mut().requests)
    }

    /// How long the last call took, waiting included.
    pub fn took(&self) -> Duration {
        self.meter.took()
    }

    /// Whether only a new instance can help.
    pub fn is_dead(&self) -> bool {
        self.life != Life::Idle
    }

    fn scrubber(&self) -> &Scrubber {
        self.store.data().setup.secrets.scrubber()
    }

    /// The guest's own error, which it survives.
    fn refused(&self, reason: String) -> Fault {
        clean::fault(Fault::Refused(reason), self.scrubber())
    }

    /// Until when the call may take.
    fn begin(&mut self, budget: Budget) -> Result<Instant, Fault> {
        if self.is_dead() {
            return Err(Fault::Dead);
        }
        self.life = Life::Calling;
        Ok(arm(&mut self.store, &self.meter, budget, self.start_spent))
    }

    /// A call in a role that is not its own never reaches the guest.
    fn begin_as(&mut self, wanted: PluginRole) -> Result<Instant, Fault> {
        if self.role != wanted {
            return Err(Fault::Host(format!(
                "it was called as a {}, which it is not",
                wanted.as_str()
            )));
        }
        self.begin(Budget::Call)
    }

    fn end<R>(&mut self, budget: Budget, ended: Option<wasmtime::Result<R>>) -> Result<R, Fault> {
        let answer = judge(budget, ended, &self.store).map_err(|fault| self.die(fault))?;
        if budget == Budget::Start {
            self.start_spent = self.meter.spent();
        }
        self.life = Life::Idle;
        Ok(answer)
    }

    fn die(&mut self, fault: Fault) -> Fault {
        self.life = Life::Dead;
        clean::fault(fault, self.scrubber())
    }
}

fn new_store(sandbox: &Sandbox, setup: &Setup, meter: &Arc<Meter>) -> Store<HostState> {
    let mut store = Store::new(sandbox.engine(), HostState::new(setup.clone()));
    store.limiter(|state| state.memory_limiter());
    store.set_hostcall_fuel(setup.limits.output_bytes);
    store.set_max_component_handles(HANDLES_MAX);
    let meter = meter.clone();
    store.epoch_deadline_callback(move |_| {
        Ok(if meter.is_over() {
            UpdateDeadline::Interrupt
        } else if meter.spent() < TAKES_TURNS_AFTER {
            UpdateDeadline::Yield(1)
        } else {
            UpdateDeadline::YieldCustom(1, Box::pin(sleep(TICK)))
        })
    });
    store
}

/// Gives the guest what one call may use. Says until when the call may take.
fn arm(
    store: &mut Store<HostState>,
    meter: &Meter,
    budget: Budget,
    start_spent: Duration,
) -> Instant {
    let now = Instant::now();
    let limits = &store.data().setup.limits;
    match budget {
        Budget::Start => meter.arm(limits.start_cpu, start_spent, now),
        Budget::Call => meter.arm(limits.call_cpu, Duration::ZERO, now),
    }
    store.data_mut().is_starting = budget == Budget::Start;
    store.set_epoch_deadline(1);
    store.data_mut().begin_call(now)
}

/// Starts the watch.
fn call<'c>(sandbox: &'c Sandbox, meter: &'c Meter, ends: Instant) -> Call<'c> {
    Call {
        meter,
        ends,
        _ticking: sandbox.ticking(),
    }
}

fn judge<R>(
    budget: Budget,
    ended: Option<wasmtime::Result<R>>,
    store: &Store<HostState>,
) -> Result<R, Fault> {
    let state = store.data();
    let limits = &state.setup.limits;
    match ended {
        Some(result) => result.map_err(|error| {
            let over_cpu = match budget {
                Budget::Start => Fault::OverStartCpu {
                    limit: limits.start_cpu,
                },
                Budget::Call => Fault::OverCpu {
                    limit: limits.call_cpu,
                },
            };
            Fault::of(&error, state, over_cpu)
        }),
        None => Err(Fault::OverWall { limit: limits.wall }),
    }
}
