//! What the disk itself does with a durable log: the same bytes at the same
//! times, written and synced by a loop that does nothing else, while a second
//! thread copies them into another file, as a checkpoint does.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;

use crate::cores::Cores;

const PAGE: usize = 4096;
/// The log is overwritten from its beginning, and is there before it is measured.
const LOG_BYTES: u64 = 32 << 20;
/// As the server does: a checkpoint after so many bytes, or so long.
const CHECKPOINT_BYTES: usize = 256 << 10;
const CHECKPOINT_PAUSE: Duration = Duration::from_millis(100);

/// What has to be written.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// Each time.
    pub bytes: usize,
    /// From one time to the next.
    pub every: Duration,
    pub times: u32,
}

/// From when each was due until it was on disk, in µs.
pub fn measure(directory: &Path, cores: Cores, work: Work) -> anyhow::Result<Vec<u32>> {
    let log = create(&directory.join("alone.log"))?;
    let copy = create(&directory.join("alone.copy"))?;
    log.write_all_at(&vec![7; LOG_BYTES as usize], 0)?;
    log.sync_data()?;
    let (logged, behind) = mpsc::channel();
    // What threads start stays where they are.
    let threads = cores.on_the_servers(|| {
        let copying = thread::spawn(move || copy_behind(&copy, &behind));
        (
            thread::spawn(move || write_on_time(&log, work, &logged)),
            copying,
        )
    })?;
    let times = threads.0.join().ok().context("the log's thread panicked")?;
    let copied = threads
        .1
        .join()
        .ok()
        .context("the copy's thread panicked")?;
    copied?;
    Ok(times?)
}

fn create(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| format!("{}", path.display()))
}

/// Everything that is due by now at once: the next sync begins as soon as the
/// last one has ended.
fn write_on_time(log: &File, work: Work, logged: &Sender<usize>) -> io::Result<Vec<u32>> {
    let (page, began) = ([7; PAGE], Instant::now());
    let (mut times, mut offset) = (Vec::new(), 0);
    while times.len() < work.times as usize {
        let written = times.len() as u32;
        let next = began + work.every * written;
        let Some(late) = Instant::now().checked_duration_since(next) else {
            thread::sleep(next.saturating_duration_since(Instant::now()));
            continue;
        };
        let due = (late.as_nanos() / work.every.as_nanos()) as u32 + 1;
        let due = due.min(work.times - written);
        let bytes = work.bytes * due as usize;
        for _ in 0..bytes.div_ceil(PAGE) {
            log.write_all_at(&page, offset)?;
            offset = (offset + PAGE as u64) % LOG_BYTES;
        }
        log.sync_data()?;
        let done = Instant::now();
        times.extend((written..written + due).map(|number| {
            let due = began + work.every * number;
            done.saturating_duration_since(due).as_micros() as u32
        }));
        // Who copies ends with an error of its own.
        let _ = logged.send(bytes);
    }
    Ok(times)
}

fn copy_behind(copy: &File, logged: &Receiver<usize>) -> io::Result<()> {
    let page = [7; PAGE];
    let (mut waiting, mut end) = (0, 0);
    while let Ok(bytes) = logged.recv() {
        waiting += bytes;
        let until = Instant::now() + CHECKPOINT_PAUSE;
        while waiting < CHECKPOINT_BYTES
            && let Ok(bytes) = logged.recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            waiting += bytes;
        }
        while waiting >= PAGE {
            copy.write_all_at(&page, end)?;
            end += PAGE as u64;
            waiting -= PAGE;
        }
        copy.sync_data()?;
    }
    Ok(())
}
