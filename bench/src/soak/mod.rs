//! Clients of every kind come and go, events never stop, and the server is
//! killed again and again: nothing is lost or doubled, and memory stays flat.
//!
//! Messages are numbered without a gap over all lives of the server, so each
//! client knows which one must come next, whatever happened in between.

mod chunks;
mod client;
mod format;
mod frames;
mod http2;
mod hub;
mod reader;
mod source;
mod tally;
mod temper;

use std::{
    cell::Cell,
    io,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use mio::{Events, Interest, Poll, Token};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::rivals::Setup;
use client::Client;
use format::Format;
use http2::Http2;
use hub::Hub;
use reader::Reader;
use source::Source;
use tally::Tally;
use temper::Temper;

/// Every so many messages one is critical; clients that want only these have
/// less to do.
const STEP_CRITICAL: u32 = 50;
/// Every so many clients one speaks HTTP/2.
const OVER_HTTP2: usize = 10;
/// What is no plain stream over HTTP/1.1 is made for each client by itself: so many
/// times fewer of these want every event.
const COSTLY: f64 = 5.0;

const PUBLISHER: Token = Token(usize::MAX);
const TURN: Duration = Duration::from_millis(5);
/// How often clients are asked whether they want to do something.
const ACT_EVERY: Duration = Duration::from_millis(20);
const TELL_EVERY: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug, clap::Args)]
pub struct SoakArgs {
    #[command(flatten)]
    setup: Setup,
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    #[arg(long, default_value_t = 5000)]
    subscribers: usize,
    /// Events a second, besides bursts
    #[arg(long, default_value_t = 2000)]
    rate: u32,
    /// Seconds from one kill of the server to the next
    #[arg(long, default_value_t = 300.0)]
    kill_every: f64,
    /// Share of the clients that want every event; the others want one in fifty. Of those
    /// in other forms than the plain one, or over HTTP/2, it is a fifth
    #[arg(long, default_value_t = 0.1)]
    all: f64,
    /// What happens by chance happens again with the same seed
    #[arg(long)]
    seed: Option<u64>,
}

struct Soak {
    poll: Poll,
    hub: Hub,
    source: Source,
    clients: Vec<Client>,
    http2: Http2,
    rng: StdRng,
    next_act: Instant,
    began: Instant,
}

pub fn run(args: &SoakArgs) -> anyhow::Result<()> {
    let seed = args.seed.unwrap_or_else(rand::random);
    let what = format!("seed {seed}; `--seed {seed}` does the same again");
    eprintln!("soak: {what}");
    soak(args, seed).context(what)
}

fn soak(args: &SoakArgs, seed: u64) -> anyhow::Result<()> {
    let mut soak = Soak::prepare(args, seed)?;
    let end = Instant::now() + Duration::from_secs_f64(args.minutes * 60.0);
    let life = Duration::from_secs_f64(args.kill_every);
    let (mut kills, mut next_kill) = (0, Instant::now() + life);
    let mut next_word = Instant::now() + TELL_EVERY;
    while Instant::now() < end {
        soak.source.publish(&mut soak.rng)?;
        soak.turn()?;
        soak.hub.watch()?;
        if Instant::now() >= next_word {
            soak.tell();
            next_word = Instant::now() + TELL_EVERY;
        }
        if Instant::now() >= next_kill {
            kills += 1;
            soak.kill_and_restart(kills)?;
            next_kill = Instant::now() + life;
        }
    }
    soak.finish(kills)
}

impl Soak {
    /// Everybody is there before the first event.
    fn prepare(args: &SoakArgs, seed: u64) -> anyhow::Result<Self> {
        let mut rng = StdRng::seed_from_u64(seed);
        let hub = Hub::start(&args.setup)?;
        let mut reader = |is_http2: bool| {
            let (temper, format) = (Temper::by_chance(&mut rng), Format::by_chance(&mut rng));
            let is_cheap = format == Format::Plain && !is_http2;
            let all = if is_cheap {
                args.all
            } else {
                args.all / COSTLY
            };
            Reader::new(temper, format, rng.random_bool(all))
        };
        let over_http2 = args.subscribers / OVER_HTTP2;
        let clients = (over_http2..args.subscribers)
            .map(|_| Client::new(reader(false)))
            .collect();
        let http2 = (0..over_http2).map(|_| reader(true)).collect();
        let mut soak = Self {
            poll: Poll::new()?,
            source: Source::new(hub.control, args.rate)?,
            http2: Http2::start(hub.http, http2, &mut rng)?,
            hub,
            clients,
            rng,
            next_act: Instant::now(),
            began: Instant::now(),
        };
        soak.register_publisher()?;
        soak.until("all clients are let in", |soak| {
            soak.all(|reader| reader.has_been_let_in() || !reader.temper.reads())
        })?;
        soak.say("all clients are there");
        Ok(soak)
    }

    /// Takes what has come, and lets clients do what they want to.
    fn turn(&mut self) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(1024);
        if let Err(error) = self.poll.poll(&mut events, Some(TURN))
            && error.kind() != io::ErrorKind::Interrupted
        {
            return Err(error.into());
        }
        for event in &events {
            match event.token() {
                PUBLISHER => self.source.receive()?,
                Token(key) => self.clients[key].moved(&mut self.rng)?,
            }
        }
        self.http2.check()?;
        if Instant::now() >= self.next_act {
            self.next_act = Instant::now() + ACT_EVERY;
            let (server, registry) = (self.hub.http, self.poll.registry());
            for (key, client) in self.clients.iter_mut().enumerate() {
                client.act(server, registry, Token(key), &mut self.rng)?;
            }
        }
        Ok(())
    }

    fn kill_and_restart(&mut self, kills: u32) -> anyhow::Result<()> {
        let memory = self.hub.kill()?;
        for client in &mut self.clients {
            client.lose(&mut self.rng);
        }
        self.hub.begin_life()?;
        let newest = self.hub.newest()?;
        self.source.resume(self.hub.control, newest)?;
        self.register_publisher()?;
        self.say(&format!("kill {kills}; memory {memory}"));
        Ok(())
    }

    fn register_publisher(&mut self) -> anyhow::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        let stream = &mut self.source.publisher.stream;
        Ok(self.poll.registry().register(stream, PUBLISHER, interest)?)
    }

    /// No more events: everybody has to come to the end of them.
    fn finish(mut self, kills: u32) -> anyhow::Result<()> {
        self.until("every event is acknowledged", |soak| {
            soak.source.publisher.is_idle()
        })?;
        let published = self.source.next;
        self.until("every event has come to everybody", |soak| {
            soak.all(|reader| !reader.temper.must_see_all() || reader.has_seen(published))
        })?;
        let (bursts, tally) = (self.source.bursts, self.tally());
        self.say(&format!(
            "{published} events in {bursts} bursts and between them, {tally}, {kills} kills: \
             nothing lost, doubled or out of order"
        ));
        self.http2.stop()?;
        let memory = self.hub.stop()?;
        eprintln!("soak: memory of the last life {memory}");
        Ok(())
    }

    fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let began = Instant::now();
        while !is_so(self) {
            self.turn()?;
            self.hub.watch()?;
            if began.elapsed() > PATIENCE {
                bail!("waited in vain until {what}: {}", self.stragglers());
            }
        }
        Ok(())
    }

    fn all(&self, is_so: impl Fn(&Reader) -> bool) -> bool {
        let mut http1 = self.clients.iter().map(|client| &client.reader);
        http1.all(&is_so) && self.http2.readers().all(|reader| is_so(&reader))
    }

    fn stragglers(&self) -> String {
        let (published, late) = (self.source.next, Cell::new(None));
        self.all(|reader| {
            let is_late = reader.temper.must_see_all() && !reader.has_seen(published);
            if is_late {
                late.set(Some((reader.format, reader.next)));
            }
            !is_late
        });
        late.get().map_or_else(String::new, |(format, next)| {
            format!("one of {format:?} waits for message {next} of {published}")
        })
    }

    /// How it goes.
    fn tell(&self) {
        let (events, memory, tally) = (self.source.next, self.hub.rss_mib(), self.tally());
        self.say(&format!("{events} events, {tally}, {memory:.1} MiB"));
    }

    fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for client in &self.clients {
            tally.add("", &client.reader);
        }
        for reader in self.http2.readers() {
            tally.add(" over HTTP/2", &reader);
        }
        tally
    }

    fn say(&self, what: &str) {
        let seconds = self.began.elapsed().as_secs();
        eprintln!("soak: {:3}:{:02}  {what}", seconds / 60, seconds % 60);
    }
}
