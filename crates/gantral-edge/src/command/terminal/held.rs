//! A command at a terminal while it runs: whose the keys are, what stops and goes on, and what is shown.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, getpgrp, kill_process_group};
use rustix::termios::tcsetwinsize;
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::unix::pipe::Sender;
use tokio::sync::{mpsc, oneshot};

use super::super::carry::{Captured, LOST, SIGNALLED};
use super::super::signals::Signals;
use super::ours::{Ours, is_passing, size};
use super::words::{News, Order, Word as _};

/// How much of what is typed is passed on at once: what a terminal holds.
const TYPED_BYTES: usize = 4 << 10;
/// How long what was shown before a stop may take to be passed on.
const SHOWN_WITHIN: Duration = Duration::from_millis(200);
/// What happens at once on a machine that is not busy happens within this time.
const SOON: Duration = Duration::from_millis(2);
/// How long after being asked to this process surely has stopped, unless it cannot be: then nobody is there who would continue it.
const STOP_WITHIN: Duration = Duration::from_millis(100);

/// How it came to an end.
pub(super) enum End {
    /// It ran, or nobody knows that it did not.
    Ended { status: i32, signalled: bool },
    /// Nothing ran.
    NotStarted(io::Error),
    /// Nothing ran: there is no keeper.
    NoKeeper,
}

/// What happens while a command runs.
enum Event {
    News(Option<News>),
    Signal(Signal),
    /// So many bytes were typed; none means that our terminal is gone.
    Typed(usize),
    /// So many bytes of what was typed have been passed on.
    Passed(usize),
    /// Nothing will be shown any more.
    Shown(Option<Captured>),
}

/// A command and its terminal, as seen from ours.
pub(super) struct Held {
    ours: Option<Ours>,
    /// The screen and the keys of the command's terminal. When it is closed the terminal hangs up.
    master: Option<Sender>,
    orders: OwnedWriteHalf,
    news: mpsc::Receiver<News>,
    signals: Signals,
    /// Signals that came while this process was about to stop.
    later: VecDeque<Signal>,
    showing: oneshot::Receiver<Captured>,
    shown: Option<Option<Captured>>,
    /// Closed when what is shown comes to its end.
    end: Option<OwnedFd>,
    /// Whether the command has the keys from the beginning.
    keys_at_once: bool,
    /// Whether the keys of our terminal are the command's.
    has_keys: bool,
    /// Whether the keeper has given them to it: a key that comes before would be lost.
    given: bool,
    /// Whether the keeper was asked to remember how our terminal is.
    asked: bool,
    /// What was typed and has not been passed on.
    typed: Vec<u8>,
}

impl Held {
    /// Holds a command whose keeper has been started. `showing` passes on what is shown, until the file beside it is closed.
    pub(super) fn of(
        ours: Option<Ours>,
        master: Sender,
        orders: OwnedWriteHalf,
        news: mpsc::Receiver<News>,
        signals: Signals,
        (showing, end): (oneshot::Receiver<Captured>, OwnedFd),
        keys_at_once: bool,
    ) -> Self {
        Self {
            ours,
            master: Some(master),
            orders,
            news,
            signals,
            later: VecDeque::new(),
            showing,
            shown: None,
            end: Some(end),
            keys_at_once,
            has_keys: false,
            given: false,
            asked: false,
            typed: Vec::new(),
        }
    }

    /// Runs the command, until it has ended.
    pub(super) async fn run(&mut self) -> End {
        if self.news.recv().await != Some(News::Ready) {
            return End::NoKeeper;
        }
        if self.keys_at_once && self.is_in_front() {
            self.give_keys().await;
        } else {
            self.order(Order::Background).await;
        }
        let mut chunk = vec![0; TYPED_BYTES];
        loop {
            match self.next(&mut chunk).await {
                Event::News(Some(News::Ready)) => {}
                Event::News(Some(News::Guarded)) => self.guarded().await,
                Event::News(Some(News::Given)) => self.given = true,
                Event::News(Some(News::Stopped(number))) => self.stopped(number).await,
                Event::News(Some(News::Exited(status))) => return End::Ended { status, signalled: false },
                Event::News(Some(News::Killed(number))) => {
                    return End::Ended { status: SIGNALLED.saturating_add(number), signalled: true };
                }
                Event::News(Some(News::NotStarted(number))) => {
                    return End::NotStarted(io::Error::from_raw_os_error(number));
                }
                Event::News(None) => {
                    let (status, signalled) = LOST;
                    return End::Ended { status, signalled };
                }
                Event::Signal(signal) => self.signal(signal).await,
                Event::Typed(0) => self.hang_up(),
                Event::Typed(read) => self.typed.extend_from_slice(chunk.get(..read).unwrap_or_default()),
                Event::Passed(written) => drop(self.typed.drain(..written.min(self.typed.len()))),
                Event::Shown(captured) => {
                    self.shown = Some(captured);
                    // Our screen is gone, and the command is told so, unless it has just ended.
                    self.master = None;
                    self.has_keys = false;
                    self.order(Order::HungUp).await;
                }
            }
        }
    }

    /// Returns what happens next.
    async fn next(&mut self, chunk: &mut [u8]) -> Event {
        if let Some(signal) = self.later.pop_front() {
            return Event::Signal(signal);
        }
        let typed = async {
            match &self.ours {
                Some(ours) if self.has_keys && self.given && self.typed.is_empty() => ours.typed(chunk).await,
                _ => pending().await,
            }
        };
        let passed = async {
            match &self.master {
                Some(master) if !self.typed.is_empty() => pass_typed(master, &self.typed).await,
                _ => pending().await,
            }
        };
        tokio::select! {
            news = self.news.recv() => Event::News(news),
            signal = self.signals.next() => Event::Signal(signal),
            captured = &mut self.showing, if self.shown.is_none() => Event::Shown(captured.ok()),
            read = typed => Event::Typed(read),
            written = passed => Event::Passed(written),
        }
    }

    /// Tells the keeper. That it is gone is heard and not said.
    async fn order(&mut self, order: Order) {
        let _ = self.orders.write_all(&order.bytes()).await;
    }

    fn is_in_front(&self) -> bool {
        self.ours.as_ref().is_none_or(Ours::is_in_front)
    }

    fn resize(&self) {
        if let (Some(master), Some(size)) = (&self.master, size(self.ours.as_ref())) {
            // Without it the command shows less well.
            let _ = tcsetwinsize(master, size);
        }
    }

    /// Gives the keys to the command and lets it go on, as soon as the keeper knows how our terminal was.
    async fn give_keys(&mut self) {
        if self.ours.as_ref().is_none_or(Ours::is_raw) {
            self.has_keys = true;
            self.order(Order::Foreground).await;
        } else {
            self.asked = true;
            self.order(Order::Guard).await;
        }
    }

    async fn guarded(&mut self) {
        self.asked = false;
        if !self.is_in_front() {
            // Somebody else has our terminal by now; whoever wants it waits until it is ours again.
            self.order(Order::Release).await;
            return self.stop(true).await;
        }
        if self.ours.as_mut().is_some_and(|ours| ours.make_raw().is_ok()) {
            self.has_keys = true;
        } else {
            self.order(Order::Release).await;
        }
        self.resize();
        self.order(Order::Foreground).await;
    }

    /// Takes the keys from the command, and puts our terminal back.
    async fn take_keys(&mut self) {
        self.has_keys = false;
        self.given = false;
        if let Some(ours) = &mut self.ours {
            ours.put_back();
        }
        self.order(Order::Release).await;
    }

    /// A command that wants the keys is given them; one that has stopped stops us too.
    async fn stopped(&mut self, number: i32) {
        if self.asked {
            // It goes on anyway.
            return;
        }
        let wants_keys = [Signal::TTIN, Signal::TTOU].iter().any(|signal| signal.as_raw() == number);
        if wants_keys && self.is_in_front() {
            self.give_keys().await;
        } else {
            self.stop(wants_keys || self.has_keys).await;
        }
    }

    /// Stops this process and those beside it, as the key would have; afterwards the command goes on, with the keys if it had or wants them and
    /// they are ours.
    async fn stop(&mut self, with_keys: bool) {
        self.show_all().await;
        if self.has_keys {
            self.take_keys().await;
        }
        // Older news of having been continued is no news.
        while self.is_continued(Duration::ZERO).await {}
        // Not SIGTSTP, which this process catches, and not SIGSTOP, which stops where nobody could continue: then nothing happens.
        let _ = kill_process_group(getpgrp(), Signal::TTOU);
        if !self.is_continued(STOP_WITHIN).await {
            // The clock went on while this process was stopped, and may be ahead of the news that it goes on.
            self.is_continued(SOON).await;
        }
        self.resize();
        if with_keys && self.is_in_front() {
            self.give_keys().await;
        } else {
            self.order(Order::Background).await;
        }
    }

    /// Waits for the news that this process goes on; says whether it came. Other signals are kept for later.
    async fn is_continued(&mut self, within: Duration) -> bool {
        let continued = async {
            loop {
                match self.signals.next().await {
                    Signal::CONT => return,
                    signal => self.later.push_back(signal),
                }
            }
        };
        tokio::time::timeout(within, continued).await.is_ok()
    }

    /// Waits until what the command has shown by now is on our screen.
    async fn show_all(&self) {
        let Some(master) = &self.master else { return };
        let now = Timespec::default();
        let shown = async {
            while poll(&mut [PollFd::new(master, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0) {
                tokio::time::sleep(SOON).await;
            }
            // What has just been read is being written.
            tokio::time::sleep(SOON).await;
        };
        // A screen that is slower is caught up with later.
        let _ = tokio::time::timeout(SHOWN_WITHIN, shown).await;
    }

    async fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::WINCH => self.resize(),
            Signal::CONT => self.continued().await,
            Signal::INT | Signal::QUIT | Signal::TSTP => self.order(Order::Keys(signal.as_raw())).await,
            Signal::HUP if self.ours.as_ref().is_some_and(Ours::is_gone) => self.hang_up(),
            _ => self.order(Order::Signal(signal.as_raw())).await,
        }
    }

    /// Somebody has stopped this process and let it go on; a shell may have set our terminal in between, or keep it.
    async fn continued(&mut self) {
        self.resize();
        if self.asked {
            return;
        }
        if self.has_keys && self.is_in_front() {
            if let Some(ours) = &mut self.ours {
                ours.notice_others();
            }
            return self.give_keys().await;
        }
        if self.has_keys {
            self.take_keys().await;
        }
        self.order(Order::Background).await;
    }

    /// Our terminal is gone, and the command's hangs up as soon as what it has shown is digested.
    fn hang_up(&mut self) {
        self.has_keys = false;
        self.end = None;
    }

    /// Shows what is left, and puts our terminal back; returns what was shown. None if somebody asks this process to end while a screen
    /// does not take it.
    pub(super) async fn close(&mut self) -> Option<Captured> {
        self.end = None;
        while self.shown.is_none() {
            tokio::select! {
                captured = &mut self.showing => self.shown = Some(captured.ok()),
                signal = self.signals.next() => {
                    if matches!(signal, Signal::TERM | Signal::HUP | Signal::INT | Signal::QUIT) {
                        self.shown = Some(None);
                    }
                }
            }
        }
        self.take_keys().await;
        // That nothing more is said tells the keeper to end.
        let _ = self.orders.shutdown().await;
        self.shown.flatten()
    }
}

/// Passes on what was typed; returns how much of it is done with.
async fn pass_typed(master: &Sender, typed: &[u8]) -> usize {
    while master.writable().await.is_ok() {
        match master.try_write(typed) {
            Ok(written) => return written,
            Err(error) if is_passing(&error) => {}
            Err(_) => break,
        }
    }
    // A terminal that takes nothing any more has nobody who would read it.
    typed.len()
}
