//! Hours of mixed load at half of what the server can do: whether memory and latency stay as they are.
//!
//! The unit is one execution: it is created and attached to, one action is allowed, consumed and reported, a human reads the inbox and the gate of
//! another and rejects it, and of one execution in twenty an auditor fetches the evidence. Executions begin at fixed instants, whether those before have
//! ended or not, so that a server that stands still is seen by all that should have begun meanwhile.

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::task::LocalSet;

use self::plot::draw;
use crate::gates::{Agent, prepare, text};
use crate::server::Server;
use crate::{disk_folder, median, ms, quantiles};

mod plot;

/// How long it lasts, in minutes, unless it is said.
pub const MINUTES: u64 = 120;
/// How many executions may be under way at once. A measurement of the peak keeps so many under way all the time.
const AT_ONCE: usize = 16;
/// How long each measurement of the peak lasts.
const PEAK: Duration = Duration::from_secs(10);
/// How much of the peak is asked for.
const SHARE: f64 = 0.5;
/// How long one sample lasts.
const SAMPLE: Duration = Duration::from_secs(10);
/// What of the time at its begin is not compared: caches fill.
const WARM: f64 = 0.05;
/// What of the time is compared with as much at its end.
const COMPARED: f64 = 0.1;
/// The amount of a refund that a human decides.
const AMOUNT: u64 = 4_800;
/// Of how many executions the evidence of one is fetched.
const FETCHED: u32 = 20;
/// After how many samples the plot is drawn again.
const PLOT_EVERY: usize = 30;
/// After how many executions of a worker its tokens are made anew: they live for less than the load lasts.
const TOKENS_LAST: usize = 500;
/// Where the samples and the plot go.
const SAMPLES: &str = "soak.csv";
const PLOT: &str = "soak.svg";

/// What is timed of an execution.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The action that policy allows.
    Ask,
    /// The decision of the human.
    Decide,
    /// The first page of the inbox.
    Inbox,
    /// The whole, from the instant at which it should have begun.
    Whole,
}

/// How many they are.
const STEPS: usize = 4;

/// What the executions of one sample took.
#[derive(Debug, Default)]
struct Taken([Vec<Duration>; STEPS]);

impl Taken {
    fn add(&mut self, step: Step, took: Duration) {
        if let Some(all) = self.0.get_mut(step as usize) {
            all.push(took);
        }
    }

    /// Returns the median and the 99th of a hundred of each step, in milliseconds; of a step that nobody took there is none.
    fn quantiles(self) -> [[f64; 2]; STEPS] {
        self.0.map(|all| if all.is_empty() { [f64::NAN; 2] } else { quantiles(all).map(ms) })
    }
}

/// What one sample holds.
#[derive(Debug, Clone)]
struct Sample {
    /// Minutes since the begin.
    minute: f64,
    per_second: f64,
    /// The median and the 99th of a hundred of each step, in milliseconds.
    took: [[f64; 2]; STEPS],
    memory_mib: f64,
    ledger_mib: f64,
}

impl Sample {
    const HEAD: &str = "minute,per_second,ask_p50_ms,ask_p99_ms,decide_p50_ms,decide_p99_ms,inbox_p50_ms,inbox_p99_ms,whole_p50_ms,whole_p99_ms,memory_mib,ledger_mib";

    fn line(&self) -> String {
        let took = self.took.iter().flatten().map(|took| format!("{took:.2}")).collect::<Vec<_>>().join(",");
        let Self { minute, per_second, memory_mib, ledger_mib, .. } = self;
        format!("{minute:.2},{per_second:.1},{took},{memory_mib:.1},{ledger_mib:.1}")
    }

    /// Returns the median and the 99th of a hundred of a step, in milliseconds.
    fn of(&self, step: Step) -> [f64; 2] {
        self.took.get(step as usize).copied().unwrap_or([f64::NAN; 2])
    }
}

/// When executions begin, and how they went since the last sample.
struct Pace {
    began: Instant,
    /// Between two begins; none while the peak is measured.
    every: Option<Duration>,
    next: Cell<u32>,
    until: Instant,
    taken: RefCell<Taken>,
}

impl Pace {
    fn new(every: Option<Duration>, time: Duration) -> Rc<Self> {
        let began = Instant::now();
        let (next, taken) = (Cell::new(0), RefCell::default());
        Rc::new(Self { began, every, next, until: began + time, taken })
    }

    /// Waits for the next instant at which an execution is to begin, and returns it with its number; nothing when the time is over.
    async fn begin(&self) -> Option<(u32, Instant)> {
        let number = self.next.get();
        self.next.set(number + 1);
        let due = self.every.map_or_else(Instant::now, |every| self.began + every * number);
        if due >= self.until {
            return None;
        }
        tokio::time::sleep_until(due.into()).await;
        Some((number, due))
    }
}

/// Loads a server for so many minutes, and writes the samples and the plot into `out`.
pub fn run(minutes: u64, out: &Path) -> Result<()> {
    ensure!(minutes > 0, "it lasts a minute at least");
    fs::create_dir_all(out)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let folder = tempfile::Builder::new().prefix("gantral-soak").tempdir_in(disk_folder())?;
        let server = Rc::new(Server::start(folder.path())?);
        prepare(&server).await?;
        let peak = peak(&server).await?;
        let rate = peak * SHARE;
        crate::print(&format!(
            "at the peak {peak:.0} executions a second; now {rate:.0}, for {minutes} minutes\n"
        ))?;
        let pace = Pace::new(Some(Duration::from_secs_f64(1.0 / rate)), Duration::from_secs(60 * minutes));
        let working = tokio::task::spawn_local(work(Rc::clone(&server), Rc::clone(&pace), "soak"));
        let samples = watch(&server, &pace, folder.path(), out).await?;
        working.await??;
        draw(&out.join(PLOT), &samples)?;
        crate::print(&compared(&samples))
    })
}

/// Returns how many executions a second end when the next begins as soon as one has ended.
async fn peak(server: &Rc<Server>) -> Result<f64> {
    let mut peaks = Vec::new();
    for name in ["peak-1", "peak-2", "peak-3", "peak-4", "peak-5"] {
        let pace = Pace::new(None, PEAK);
        work(Rc::clone(server), Rc::clone(&pace), name).await?;
        peaks.push(f64::from(pace.next.get()) / pace.began.elapsed().as_secs_f64());
    }
    Ok(median(peaks))
}

/// Has executions begin as the pace says, until its time is over.
async fn work(server: Rc<Server>, pace: Rc<Pace>, name: &'static str) -> Result<()> {
    let mut working = Vec::new();
    for number in 0..AT_ONCE {
        let (server, pace) = (Rc::clone(&server), Rc::clone(&pace));
        working.push(tokio::task::spawn_local(worker(server, pace, format!("{name}-{number}"))));
    }
    for worker in working {
        worker.await??;
    }
    Ok(())
}

async fn worker(server: Rc<Server>, pace: Rc<Pace>, name: String) -> Result<()> {
    for turn in 0_u32.. {
        let (workload, approver) = (server.client("refund-agent")?, server.person("alice")?);
        let name = format!("{name}-{turn}");
        let mut agent = Agent::start(server.address, "bench", &workload, &approver, &name).await?;
        for _ in 0..TOKENS_LAST {
            let Some((number, due)) = pace.begin().await else { return Ok(()) };
            execution(&mut agent, &pace, number).await?;
            pace.taken.borrow_mut().add(Step::Whole, due.elapsed());
        }
    }
    Ok(())
}

/// One execution, from its creation to its end.
async fn execution(agent: &mut Agent, pace: &Pace, number: u32) -> Result<()> {
    let timed = |step, began: Instant| pace.taken.borrow_mut().add(step, began.elapsed());
    agent.renew().await?;
    let began = Instant::now();
    let answer = agent.allowed().await?;
    timed(Step::Ask, began);
    agent.succeeded(&text(&answer.json()?, "grant_id")?).await?;
    let gate = agent.wait(AMOUNT).await?;
    agent.become_approver();
    let began = Instant::now();
    agent.connection.get("/v1/gates?mine=true").await?.json()?;
    timed(Step::Inbox, began);
    agent.connection.get(&format!("/v1/gates/{gate}")).await?.json()?;
    let began = Instant::now();
    agent.reject(&gate).await?;
    timed(Step::Decide, began);
    if number.is_multiple_of(FETCHED) {
        let path = format!("/v1/instances/{}/evidence", agent.instance);
        let answer = agent.connection.get(&path).await?;
        ensure!(answer.status == 200, "no evidence: {}", String::from_utf8_lossy(&answer.body));
    }
    Ok(())
}

/// Takes samples until the time is over, and keeps file and plot up to date.
async fn watch(server: &Server, pace: &Pace, data: &Path, out: &Path) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    let mut file = File::create(out.join(SAMPLES))?;
    writeln!(file, "{}", Sample::HEAD)?;
    while Instant::now() + SAMPLE <= pace.until {
        let began = Instant::now();
        tokio::time::sleep(SAMPLE).await;
        let taken = pace.taken.take();
        let whole = taken.0.get(Step::Whole as usize).context("the whole is timed")?.len();
        let sample = Sample {
            minute: pace.began.elapsed().as_secs_f64() / 60.0,
            per_second: whole as f64 / began.elapsed().as_secs_f64(),
            took: taken.quantiles(),
            memory_mib: mib(server.memory()?),
            ledger_mib: mib(fs::metadata(data.join(gantral_server::store::LEDGER))?.len()),
        };
        writeln!(file, "{}", sample.line())?;
        samples.push(sample);
        if samples.len().is_multiple_of(PLOT_EVERY) {
            draw(&out.join(PLOT), &samples)?;
        }
    }
    Ok(samples)
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// What is compared: its name, its value.
type Figure = (&'static str, fn(&Sample) -> f64);

/// Says how the end compares with the begin, or that too little was sampled for it.
fn compared(samples: &[Sample]) -> String {
    let at = |share: f64| (samples.len() as f64 * share) as usize;
    let first = samples.get(at(WARM)..at(WARM + COMPARED)).filter(|some| !some.is_empty());
    let (Some(first), Some(last)) = (first, samples.get(at(1.0 - COMPARED)..)) else {
        return "too few samples to compare the end with the begin\n".to_owned();
    };
    let mut out = String::from("median of the samples             at the begin   at the end\n");
    let figures: [Figure; 7] = [
        ("executions a second", |sample| sample.per_second),
        ("ask, p50, ms", |sample| sample.of(Step::Ask)[0]),
        ("ask, p99, ms", |sample| sample.of(Step::Ask)[1]),
        ("decision, p50, ms", |sample| sample.of(Step::Decide)[0]),
        ("decision, p99, ms", |sample| sample.of(Step::Decide)[1]),
        ("first page of the inbox, p50, ms", |sample| sample.of(Step::Inbox)[0]),
        ("memory, MiB", |sample| sample.memory_mib),
    ];
    for (name, figure) in figures {
        let [first, last] = [first, last].map(|some| median(some.iter().map(figure)));
        out.push_str(&format!("{name:<34}{first:>12.2}{last:>13.2}   {:.2}x\n", last / first));
    }
    out
}
