//! `cambio demo`: the main job on one machine, with nothing to prepare.
//!
//! Three issuers and the counter listen on loopback; tokens go over HTTP as they would anywhere. The counter is opened
//! from a configuration file like any other's, with the shipped policies: nothing in here decides what is allowed.

mod issuers;
mod operator;
mod screen;
mod secret;
mod stage;
mod step;
mod walk;
mod wire;
mod workloads;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use self::issuers::Issuers;
use self::operator::Operator;
use self::screen::Screen;
use self::stage::Stage;
use self::walk::{RESOURCE_SERVER, RESOURCE_SERVER_SECRET, Walk};
use self::wire::quoted;
use self::workloads::{Tokens, Workload};
use super::{Answer, CliError, NO};
use crate::app::{App, Running};
use crate::clock::Clock;
use crate::config::Config;
use crate::jose::{random, sha256};
use crate::telemetry::{quiet_panics, start_logs};

/// How often the token files are written anew. GitLab's are good for one exchange each.
const FRESH_EVERY: Duration = Duration::from_secs(30);
/// How often another free port is tried, should somebody take it before the counter does.
const TRIES: usize = 5;

/// See it work: three issuers and a counter on loopback; a pod's and a CI job's token exchanged, others denied and
/// explained. Then it stays, with fresh tokens and lines to paste, until Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cambio demo
  cambio demo --once          walk, print, and exit with 0 only if everything behaved
  NO_COLOR=1 cambio demo --once > walk.txt")]
pub(super) struct Demo {
    /// Exit after the walk: with 0 if everything behaved, else with 1.
    #[arg(long)]
    once: bool,
    /// Where configuration, policies, tokens and the journal go, and stay; else a temporary directory.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Only the issuers, on ports 8301 to 8303 of every address, reached by others as HOST; for docker-compose.yml.
    #[arg(long, value_name = "HOST", requires_all = ["directory", "audience"], conflicts_with = "once")]
    issuers_at: Option<String>,
    /// The audience of the tokens of --issuers-at.
    #[arg(long, value_name = "AUDIENCE", requires = "issuers_at")]
    audience: Option<String>,
}

impl Demo {
    pub(super) fn run(self) -> Answer {
        quiet_panics();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CliError::new)?;
        runtime.block_on(async {
            let mut stops = Stops::new()?;
            let stage = Stage::open(self.directory)?;
            let screen = Screen::new();
            match (self.issuers_at, self.audience) {
                (Some(host), Some(audience)) => only_issuers(&host, audience, &stage, &screen, &mut stops).await,
                _ => whole(self.once, stage, &screen, &mut stops).await,
            }
        })
    }
}

/// SIGINT and SIGTERM.
struct Stops(Signal, Signal);

impl Stops {
    fn new() -> Result<Self, CliError> {
        let on = |kind| signal(kind).map_err(CliError::new);
        Ok(Self(on(SignalKind::interrupt())?, on(SignalKind::terminate())?))
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}

async fn whole(once: bool, mut stage: Stage, screen: &Screen, stops: &mut Stops) -> Answer {
    let issuers = Issuers::on_loopback().await?;
    let secret = sha256(&random::<32>().map_err(CliError::new)?).to_string();
    stage.write_policies()?;
    stage.write(RESOURCE_SERVER_SECRET, &secret)?;
    let running = counter(&stage, &issuers).await?;
    let tokens = Tokens::new(issuers, format!("http://{}", running.address())).await?;
    introduce(&stage, &tokens, screen);

    let operator = Operator {
        counter: Arc::clone(running.counter()),
        journal: stage.join("data").join("audit").join("decisions.jsonl"),
    };
    let walk = Walk::new(screen, &stage, &tokens, operator, secret);
    let walked = tokio::select! {
        walked = walk.run() => walked,
        () = stops.next() => return Err(CliError::new("interrupted")),
    };
    let (steps, misbehaved) = walked.map_err(|error| {
        stage.keep();
        CliError::new(format!("{error}; see {}", stage.path().display()))
    })?;
    if misbehaved.is_empty() {
        screen.result(true, &format!("all {steps} steps behaved"));
    } else {
        stage.keep();
        let which: Vec<_> = misbehaved.iter().map(ToString::to_string).collect();
        let place = stage.path().display();
        screen.result(false, &format!("of {steps} steps these did not behave: {}; see {place}", which.join(", ")));
    }
    if !once {
        refresh(&stage, &tokens)?;
        invite(&running, &stage, &tokens, screen);
        stay(&stage, &tokens, stops).await?;
        screen.line("\nstopping");
    }
    running.stop().await;
    tokens.issuers.stop().await;
    Ok(if misbehaved.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}

/// The counter, as `cambio serve` would run it. Its port has to be known before its configuration is written, so a free
/// one is found first and taken a moment later.
async fn counter(stage: &Stage, issuers: &Issuers) -> Result<Running, CliError> {
    let mut last = CliError::new("no free port on 127.0.0.1");
    for _ in 0..TRIES {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let text = configuration(free.map_err(CliError::new)?, issuers);
        stage.write("cambio.yaml", &text)?;
        let config = Config::parse(&text, stage.path()).map_err(CliError::new)?;
        start_logs(&config.log).map_err(CliError::new)?;
        match App::open(config, Clock::System).await.map_err(CliError::new)?.listen().await {
            Ok(running) => return Ok(running),
            Err(error) => last = CliError::new(error),
        }
    }
    Err(last)
}

fn configuration(address: SocketAddr, issuers: &Issuers) -> String {
    let issuers: Vec<_> = issuers.iter().map(|issuer| issuer.settings(&format!("http://{address}"))).collect();
    format!(
        "# Written by `cambio demo`.\n\
         issuer: http://{address}\n\
         listen: {address}\n\
         ops_listen: 127.0.0.1:0\n\
         data: data\n\
         policies: policies\n\
         audit: {{claims: values}}          # the journal keeps the claims that were decided on\n\
         log: {{level: warn, format: text}}\n\
         clients:\n  - id: {RESOURCE_SERVER}\n    secret_file: {RESOURCE_SERVER_SECRET}\n    \
         targets: [payments-api, group-pipelines, shop-production]\n\
         issuers:\n{}",
        issuers.concat()
    )
}

fn introduce(stage: &Stage, tokens: &Tokens, screen: &Screen) {
    screen.title("cambio demo: everything on this machine, over HTTP, with keys made a moment ago");
    screen.line("");
    screen.row("counter", &tokens.audience);
    list(&tokens.issuers, screen);
    let until = if stage.is_temporary() { ", until the demo ends" } else { "" };
    screen.row("files", &format!("{}{until}", stage.path().display()));
    screen.row("", "cambio.yaml, policies/, the tokens (*.jwt), and the audit journal below data/");
}

fn list(issuers: &Issuers, screen: &Screen) {
    for issuer in issuers.iter() {
        let keys = if issuer.iss() == issuer.base() { String::new() } else { format!(", keys at {}", issuer.base()) };
        screen.row(issuer.name(), &format!("{}{keys}", issuer.iss()));
    }
}

fn invite(running: &Running, stage: &Stage, tokens: &Tokens, screen: &Screen) {
    let every = FRESH_EVERY.as_secs();
    screen.title(&format!("Your turn: the token files are new every {every} s; these lines work until Ctrl-C"));
    screen.line("");
    for (workload, what) in [
        (Workload::Pod, "the pod"),
        (Workload::Job, "the GitLab job; a second time within 30 s is a replay"),
        (Workload::Action, "a GitHub deployment, single use as well; what it gets outlives its token"),
        (Workload::Sibling, "the sibling's job, denied"),
    ] {
        screen.line(&format!("   {what}"));
        screen.command(&step::exchange(&tokens.audience, workload, stage.join(workload.file()), "").curl());
    }
    screen.line("   the last decision, as it was recorded");
    let journal = stage.join("data/audit/decisions.jsonl").display().to_string();
    screen.command(&["tail -n 1".to_owned(), quoted(&journal)]);
    screen.line("   why, by the id that the caller got");
    screen.command(&stage.cambio(&["explain", "DECISION-ID"]));
    screen.line("   what is wrong with a token, before it is sent");
    let stranger = stage.join(Workload::Stranger.file()).display().to_string();
    screen.command(&stage.cambio(&["token", "inspect", &stranger]));
    screen.line("   what was counted");
    screen.command(&[format!("curl -s http://{}/metrics", running.ops_address())]);
}

/// Keeps the token files fresh until somebody says stop.
async fn stay(stage: &Stage, tokens: &Tokens, stops: &mut Stops) -> Result<(), CliError> {
    loop {
        tokio::select! {
            () = sleep(FRESH_EVERY) => refresh(stage, tokens)?,
            () = stops.next() => return Ok(()),
        }
    }
}

fn refresh(stage: &Stage, tokens: &Tokens) -> Result<(), CliError> {
    Workload::ALL.into_iter().try_for_each(|workload| {
        let minted = tokens.fresh(workload, Clock::System.now())?;
        stage.write(workload.file(), &minted.token).map(drop)
    })
}

async fn only_issuers(host: &str, audience: String, stage: &Stage, screen: &Screen, stops: &mut Stops) -> Answer {
    let tokens = Tokens::new(Issuers::reachable_as(host).await?, audience).await?;
    list(&tokens.issuers, screen);
    screen.row("tokens", &format!("{}, new every {} s", stage.path().display(), FRESH_EVERY.as_secs()));
    refresh(stage, &tokens)?;
    stay(stage, &tokens, stops).await?;
    tokens.issuers.stop().await;
    Ok(ExitCode::SUCCESS)
}
