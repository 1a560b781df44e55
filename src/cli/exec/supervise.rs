//! A command that runs while cambio watches its secrets. Decides which signals it gets and when it is started anew; its exit
//! code is ours.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::os::unix::process::ExitStatusExt as _;
use std::pin::pin;
use std::process::{Child, ExitCode, ExitStatus};
use std::time::Duration;

use clap::ValueEnum;
use rustix::process::{Pid, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::rounds::{Rounds, Values};
use super::variables::Collected;
use super::{not_run, started};
use crate::cli::session::{Session, warn};
use crate::cli::{Answer, CliError};

/// How a running command is told of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Signal {
    Hup,
    Int,
    Quit,
    Term,
    Usr1,
    Usr2,
}

/// What is run, and how changes are told.
pub(super) struct Supervision<'a> {
    pub(super) command: &'a [OsString],
    pub(super) collected: &'a Collected,
    /// Sent to the command when a value changed; without one, it is restarted.
    pub(super) signal: Option<Signal>,
    pub(super) every: Option<Duration>,
    /// How long the command may take to end before a restart.
    pub(super) grace: Duration,
}

/// The restart that is under way.
struct Restart {
    values: Values,
    /// When the command is killed.
    deadline: Instant,
}

impl Supervision<'_> {
    /// Runs the command until it ends of itself, or is ended by a signal that it, or we, got.
    pub(super) async fn run(&self, rounds: &Rounds, mut session: Session<'_>, values: Values) -> Answer {
        let mut ended = signal(SignalKind::child()).map_err(CliError::new)?;
        let mut signals = forwarded()?;
        let mut child = match self.start(&values) {
            Ok(child) => child,
            Err(code) => return Ok(code),
        };
        let (tell, mut changes) = mpsc::channel(1);
        let mut reading = pin!(rounds.again(&mut session, values, self.every, tell));
        let mut restart: Option<Restart> = None;
        // Whoever ends us ends the command: it is not started anew.
        let mut ending = false;
        loop {
            // Asked before each wait: one SIGCHLD may stand for several.
            if let Some(status) = child.try_wait().map_err(CliError::new)? {
                let Some(Restart { values, .. }) = restart.take() else { return Ok(ExitCode::from(code(status))) };
                child = match self.start(&values) {
                    Ok(child) => child,
                    Err(code) => return Ok(code),
                };
            }
            let deadline = restart.as_ref().map_or_else(Instant::now, |restart| restart.deadline);
            tokio::select! {
                _ = ended.recv() => {}
                Some(signal) = signals.recv() => {
                    if signal.passed_on {
                        send(&child, signal.signal);
                    }
                    if matches!(signal.signal, Signal::Term | Signal::Int) {
                        ending = true;
                        restart = None;
                    }
                }
                Some(values) = changes.recv(), if !ending => match self.signal {
                    Some(signal) => {
                        warn("a value changed: telling the command by a signal");
                        send(&child, signal);
                    }
                    None => {
                        // What has ended of itself a moment ago is over, and not run again.
                        if let Some(status) = child.try_wait().map_err(CliError::new)? {
                            return Ok(ExitCode::from(code(status)));
                        }
                        warn("a value changed: restarting the command");
                        send(&child, Signal::Term);
                        let deadline = restart.map_or_else(|| Instant::now() + self.grace, |before| before.deadline);
                        restart = Some(Restart { values, deadline });
                    }
                },
                () = sleep_until(deadline), if restart.is_some() => {
                    // Once: the next thing is its end.
                    let _ = child.kill();
                    if let Some(restart) = &mut restart {
                        restart.deadline += Duration::from_secs(3600);
                    }
                }
                never = &mut reading => match never {},
            }
        }
    }

    fn start(&self, values: &Values) -> Result<Child, ExitCode> {
        let Some(mut command) = started(self.command, &self.collected.environment(values)) else {
            return Err(ExitCode::from(super::NOT_FOUND));
        };
        command.spawn().map_err(|error| not_run(&error))
    }
}

/// A signal that we got.
struct Got {
    signal: Signal,
    passed_on: bool,
}

/// The signals that are passed on. What a terminal sends by its keys it sends to the command as well: that is not doubled.
fn forwarded() -> Result<mpsc::Receiver<Got>, CliError> {
    let (got, signals) = mpsc::channel(16);
    let at_terminal = std::io::stdin().is_terminal();
    for (known, kind) in [
        (Signal::Hup, SignalKind::hangup()),
        (Signal::Int, SignalKind::interrupt()),
        (Signal::Quit, SignalKind::quit()),
        (Signal::Term, SignalKind::terminate()),
        (Signal::Usr1, SignalKind::user_defined1()),
        (Signal::Usr2, SignalKind::user_defined2()),
    ] {
        let mut stream = signal(kind).map_err(CliError::new)?;
        let got = got.clone();
        let passed_on = !(at_terminal && matches!(known, Signal::Int | Signal::Quit));
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                if got.send(Got { signal: known, passed_on }).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(signals)
}

/// To the command itself. It has not been waited for, so its number is nobody else's.
fn send(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let signal = match signal {
        Signal::Hup => rustix::process::Signal::HUP,
        Signal::Int => rustix::process::Signal::INT,
        Signal::Quit => rustix::process::Signal::QUIT,
        Signal::Term => rustix::process::Signal::TERM,
        Signal::Usr1 => rustix::process::Signal::USR1,
        Signal::Usr2 => rustix::process::Signal::USR2,
    };
    if let Some(pid) = pid {
        // A command that has just ended gets none.
        let _ = kill_process(pid, signal);
    }
}

/// As shells tell it: what a signal ended has 128 and its number.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_code_is_passed_through_and_a_signal_adds_128() {
        assert_eq!(code(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(code(ExitStatus::from_raw(0)), 0);
        assert_eq!(code(ExitStatus::from_raw(15)), 143);
    }
}
