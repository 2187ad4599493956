//! The process: holds what the route file says, and does what it is told over
//! the control socket, until it is to stop or another one takes its place.

use std::{collections::BTreeMap, path::Path, pin::pin, time::Duration};

use tokio::{
    net::{UnixListener, UnixStream},
    sync::mpsc,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout},
};

use crate::{
    control::{
        protocol::{Reason, Refusal, Reply, Request, Stop},
        session::{self, Command},
        wire::Wire,
    },
    handover::{self, Inheritance, TakeOverError},
    home::{Home, HomeError},
    limits,
    lodging::{self, Predecessor},
    route_file::{BadRouteFile, RouteFile},
    table::Table,
};

/// Clients of the control socket at a time; more wait in its backlog.
const SESSIONS_MAX: usize = 64;

/// Requests that wait; their sessions wait too.
const COMMANDS_MAX: usize = 16;

/// Clients on their way to the next process; their tasks wait.
const EMIGRANTS_MAX: usize = 64;

/// Between attempts to listen to a port that could not be had.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// For connections under way when the process stops.
const GRACE: Duration = Duration::from_secs(10);

/// For the last replies.
const FAREWELL: Duration = Duration::from_secs(1);

/// How the process begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Another one that runs is an error.
    Alone,
    /// Takes the place of one that runs, which has until `deadline` for the
    /// connections that it cannot pass on.
    TakeOver { deadline: Duration },
}

/// Why it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Stopped,
    /// Another process holds the ports now.
    HandedOver,
}

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    RouteFile(#[from] BadRouteFile),
    #[error(transparent)]
    TakeOver(#[from] TakeOverError),
}

struct Process {
    home: Home,
    table: Table,
    commands: mpsc::Receiver<Command>,
    to_commands: mpsc::Sender<Command>,
    sessions: JoinSet<()>,
    /// The one that this has taken over from, if it has; ends when that does.
    predecessor: JoinSet<()>,
}

/// What a command means for the process.
enum Next {
    GoOn,
    Stop,
    /// The successor listens; it hears of connections over this wire.
    Leave(Wire, Duration),
}

/// Holds the ports of `dir`'s routes until `shutdown` or a request to stop, or
/// until another process has taken over.
pub async fn serve(
    dir: &Path,
    start: Start,
    shutdown: impl Future<Output = ()>,
) -> Result<Ended, ServeError> {
    let process = match start {
        Start::Alone => Process::begin(dir).await?,
        Start::TakeOver { deadline } => match handover::take(dir, deadline).await? {
            Some(inheritance) => Process::take_over(dir, inheritance).await?,
            None => Process::begin(dir).await?,
        },
    };
    Ok(process.run(shutdown).await)
}

impl Process {
    async fn begin(dir: &Path) -> Result<Self, ServeError> {
        let home = Home::occupy(dir)?;
        let file = RouteFile::in_folder(dir);
        let routes = file.read()?;
        let mut table = Table::new(file, limits::connections_max());
        table.hold(routes, BTreeMap::new()).await;
        Ok(Self::new(home, table))
    }

    async fn take_over(dir: &Path, inheritance: Inheritance) -> Result<Self, ServeError> {
        let Inheritance {
            home,
            sockets,
            wire,
        } = inheritance;
        let file = RouteFile::in_folder(dir);
        let routes = file.read()?;
        let mut table = Table::new(file, limits::connections_max());
        table.hold(routes, sockets).await;
        let predecessor = Predecessor::relieve(wire, &mut table).await;
        let predecessor = predecessor.map_err(TakeOverError::from)?;
        let mut process = Self::new(home, table);
        process.predecessor.spawn(predecessor.attend());
        Ok(process)
    }

    fn new(home: Home, table: Table) -> Self {
        let (to_commands, commands) = mpsc::channel(COMMANDS_MAX);
        Self {
            home,
            table,
            commands,
            to_commands,
            sessions: JoinSet::new(),
            predecessor: JoinSet::new(),
        }
    }

    async fn run(mut self, shutdown: impl Future<Output = ()>) -> Ended {
        let mut shutdown = pin!(shutdown);
        let mut listen_again = interval(LISTEN_AGAIN);
        listen_again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let next = tokio::select! {
                () = &mut shutdown => Next::Stop,
                Some(command) = self.commands.recv() => self.obey(command).await,
                stream = accept(&self.home.control), if self.sessions.len() < SESSIONS_MAX => {
                    self.sessions.spawn(session::run(stream, self.to_commands.clone()));
                    Next::GoOn
                }
                Some(_) = self.sessions.join_next() => Next::GoOn,
                _ = listen_again.tick() => {
                    self.table.listen_again().await;
                    Next::GoOn
                }
            };
            match next {
                Next::GoOn => {}
                Next::Stop => return self.stop().await,
                Next::Leave(wire, deadline) => {
                    let deadline = Instant::now() + deadline.min(session::DEADLINE_MAX);
                    let until = async {
                        tokio::select! {
                            () = &mut shutdown => {}
                            () = sleep_until(deadline) => {}
                        }
                    };
                    return self.leave(wire, until).await;
                }
            }
        }
    }

    async fn obey(&mut self, command: Command) -> Next {
        match command {
            Command::Answer(request, reply) => {
                let (answer, next) = self.answer(request).await;
                // Whoever has left has not waited for it.
                let _ = reply.send(answer);
                next
            }
            Command::Leaving(at, reply) => {
                let _ = reply.send(self.table.leaving(at));
                Next::GoOn
            }
            Command::HandOver(mut wire, deadline) => {
                match handover::give(&mut wire, &self.home, &self.table).await {
                    Ok(()) => Next::Leave(wire, deadline),
                    Err(error) => {
                        tracing::error!(%error, "the new process did not take over; this one goes on");
                        Next::GoOn
                    }
                }
            }
        }
    }

    async fn answer(&mut self, request: Request) -> (Reply, Next) {
        let done = |result: Result<(), Refusal>| match result {
            Ok(()) => Reply::Done {},
            Err(refusal) => Reply::Refused(refusal),
        };
        match request {
            Request::Put(route) => (done(self.table.put(route).await), Next::GoOn),
            Request::Remove { listen } => (done(self.table.remove(listen).await), Next::GoOn),
            Request::Routes {} => (Reply::Routes(self.table.status()), Next::GoOn),
            Request::Stop(stop) => match self.may_stop(stop) {
                Ok(()) => (Reply::Done {}, Next::Stop),
                Err(refusal) => (Reply::Refused(refusal), Next::GoOn),
            },
            Request::Drain(_) | Request::HandOver { .. } => {
                let refusal = Refusal::new(Reason::Request, "a session answers this by itself");
                (Reply::Refused(refusal), Next::GoOn)
            }
        }
    }

    fn may_stop(&self, stop: Stop) -> Result<(), Refusal> {
        let routes = self.table.routes();
        if stop == Stop::Always || routes.is_empty() {
            return Ok(());
        }
        let held = routes
            .iter()
            .map(|it| format!("{} ({})", it.listen, it.lane));
        let held: Vec<String> = held.collect();
        let message = format!(
            "it holds {}: nobody would answer there; remove them first, or force it",
            held.join(", ")
        );
        Err(Refusal::new(Reason::HoldsRoutes, message))
    }

    /// Lets go of the ports, then gives what is under way a moment.
    async fn stop(self) -> Ended {
        let Self {
            home,
            mut table,
            commands,
            to_commands,
            sessions,
            predecessor,
        } = self;
        // What the process before this one still has ends there by itself.
        drop((commands, to_commands, predecessor));
        table.close(None).await;
        if timeout(GRACE, table.ended()).await.is_err() {
            cut_off(&mut table).await;
        }
        farewell(sessions).await;
        home.leave();
        Ended::Stopped
    }

    /// Another process listens: what can be passed on goes there, the rest has
    /// until then.
    async fn leave(self, wire: Wire, until: impl Future<Output = ()>) -> Ended {
        let Self {
            home,
            mut table,
            commands,
            to_commands,
            sessions,
            predecessor: _predecessor,
        } = self;
        drop((home, commands, to_commands));
        let (successor, emigrants) = mpsc::channel(EMIGRANTS_MAX);
        table.close(Some(successor)).await;
        tokio::select! {
            () = lodging::see_off(wire, &table, emigrants) => {}
            () = until => {}
        }
        cut_off(&mut table).await;
        farewell(sessions).await;
        Ended::HandedOver
    }
}

/// What has not ended by itself, so that nobody takes it for a proper end.
async fn cut_off(table: &mut Table) {
    let cut = table.cut_all();
    if cut > 0 {
        tracing::warn!(cut, "connections did not end before the process did");
    }
    // Those that have not had a turn by then end with the process.
    let _ = timeout(FAREWELL, table.ended()).await;
}

/// Sessions get to say how it ended.
async fn farewell(mut sessions: JoinSet<()>) {
    let ended = async { while sessions.join_next().await.is_some() {} };
    // One whose client says nothing more is dropped.
    let _ = timeout(FAREWELL, ended).await;
}

async fn accept(control: &UnixListener) -> UnixStream {
    loop {
        match control.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::error!(%error, "the control socket cannot accept at the moment");
                sleep(LISTEN_AGAIN).await;
            }
        }
    }
}
