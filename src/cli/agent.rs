//! `cambio agent`: files that stay fresh beside a program that can not ask itself.
//!
//! A file is replaced whole, or stays as it was: a token that is still good is never taken away because the next one could
//! not be had. The platform's token is read anew each time, as kubelets replace it.

mod change;
mod rounds;
mod template;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::session::{Backoff, LoginArgs, ServerArgs, Session, Stop, jittered, span, warn};
use super::{Answer, CliError, runtime};
use rounds::{Files, Round};

/// How often templates are rendered where nothing says how long a token lives.
const EVERY: Duration = Duration::from_secs(60);

/// Keep a token file, or files made from templates, fresh.
#[derive(Debug, Args)]
#[command(after_help = "A template is a text with references in double braces, the whole reference and nothing else:
  password = {{ k8s://team-a/db/password }}
  {\"password\": {{ bao://secret/app/db#/password | json }}}      quoted as a JSON string, where any value fits
  {{ \"{{\" }}                                                  two braces
Where one of its references leads nowhere, or something in braces is no reference, its file stays as it was.

The token is renewed at two thirds of its life, a bit earlier by chance. What fails is tried again after 1 s, 2 s, 4 s, up to
a minute. SIGHUP has the templates rendered at once; SIGTERM and SIGINT end the agent, and the files stay.

Exit codes: 0 ended by a signal, or with --once all written; with --once 1 something was refused or not there, and 2
something could not be asked or written. Without --once the agent starts whatever fails, and tries again.

Examples:
  cambio agent --url https://cambio.example.com --target shop --out /run/cambio/token
  cambio agent --template /etc/app.conf.in:/run/app.conf --on-change 'kill -HUP $(cat /run/app.pid)'
  cambio agent --once --template /etc/app.conf.in:/run/app.conf        in an init container")]
pub(super) struct Agent {
    /// Keep the secrets token in this file.
    #[arg(long, value_name = "FILE", required_unless_present = "template")]
    out: Option<PathBuf>,
    /// Keep the file OUT made from the template IN; may be repeated.
    #[arg(long, value_name = "IN:OUT", value_parser = template::pair)]
    template: Vec<(PathBuf, PathBuf)>,
    /// The mode of the files.
    #[arg(long, value_name = "OCTAL", default_value = "0600", value_parser = mode)]
    mode: u32,
    /// How often to render the templates; default half of the secrets token's life.
    #[arg(long, value_name = "SPAN")]
    every: Option<String>,
    /// A command for the shell when a file got new content.
    #[arg(long, value_name = "COMMAND")]
    on_change: Option<String>,
    /// Write each file once, and end.
    #[arg(long)]
    once: bool,
    /// Say on standard error what was written, and where tokens came from.
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten, next_help_heading = "Where cambio is, and which token it gets")]
    server: ServerArgs,
    #[command(flatten, next_help_heading = "Where cambio is, and which token it gets")]
    login: LoginArgs,
}

impl Agent {
    pub(super) fn run(self) -> Answer {
        let every = self.every.as_deref().map(|text| span("--every", text)).transpose()?;
        if !self.once && self.login.token.token_file.as_deref().is_some_and(|file| file.as_os_str() == "-") {
            return Err(CliError::new(
                "standard input has one token only; give a file that is kept fresh, or `--once`",
            ));
        }
        if self.login.target.is_none() {
            return Err(CliError::new("what is the token for? Name a target: `--target`, or CAMBIO_TARGET"));
        }
        let session = Session::new(&self.server, Some(&self.login), self.verbose)?;
        let files =
            Files { token: self.out.as_deref(), templates: &self.template, mode: self.mode, verbose: self.verbose };
        files.check()?;
        runtime()?.block_on(async {
            if self.once {
                self.once(session, &files).await
            } else {
                self.stay(session.without_retries(), &files, every).await
            }
        })
    }

    async fn once(&self, mut session: Session<'_>, files: &Files<'_>) -> Answer {
        let round = files.write(&mut session).await;
        self.tell(&round).await;
        round.stop.map_or(Ok(ExitCode::SUCCESS), Stop::answer)
    }

    async fn stay(&self, mut session: Session<'_>, files: &Files<'_>, every: Option<Duration>) -> Answer {
        // Asked for by name: the first process of a container is ended by no signal that it does not listen to.
        let listen = |kind| signal(kind).map_err(CliError::new);
        let (mut term, mut int) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        let mut hup = listen(SignalKind::hangup())?;
        let mut backoff = Backoff::default();
        let work = async {
            loop {
                let round = files.write(&mut session).await;
                self.tell(&round).await;
                let wait = match &round.stop {
                    Some(stop) => {
                        let wait = backoff.next();
                        warn(&format!("{stop}\n  what is there stays as it is; trying again in {} s", wait.as_secs()));
                        wait
                    }
                    None => {
                        backoff.reset();
                        self.wait(&session, every)
                    }
                };
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    _ = hup.recv() => {}
                }
            }
        };
        tokio::select! {
            () = work => {}
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Until the token is due, or the templates are.
    fn wait(&self, session: &Session<'_>, every: Option<Duration>) -> Duration {
        let renewal = session.until_renewal().unwrap_or(EVERY);
        let rendering = every.or_else(|| session.lifetime().map(|life| jittered(life / 2))).unwrap_or(EVERY);
        let wait = if self.template.is_empty() { renewal } else { renewal.min(rendering) };
        wait.max(Duration::from_secs(1))
    }

    async fn tell(&self, round: &Round) {
        if let (Some(command), true) = (&self.on_change, round.changed)
            && let Err(fault) = change::told(command).await
        {
            warn(&format!("`--on-change`: {fault}"));
        }
    }
}

/// A file's mode in octal digits.
fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text.trim_start_matches("0o"), 8).ok().filter(|mode| *mode <= 0o777);
    mode.filter(|mode| mode & 0o400 != 0).ok_or_else(|| "a mode is octal digits such as 0600 or 0640".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("0600", Some(0o600))]
    #[case("640", Some(0o640))]
    #[case("0o444", Some(0o444))]
    #[case("0200", None)]
    #[case("4755", None)]
    #[case("rw", None)]
    #[case("0699", None)]
    fn a_mode_is_octal_and_readable(#[case] text: &str, #[case] expected: Option<u32>) {
        assert_eq!(mode(text).ok(), expected);
    }
}
