//! `cambio serve`: run the counter, or only check what it would run with.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::text::count;
use super::{Answer, CliError};
use crate::app::{App, NewPolicies, Told};
use crate::clock::Clock;
use crate::config::Config;
use crate::http::Tls;
use crate::mint::{KeyRing, KeySource};
use crate::telemetry::{quiet_panics, start_logs};

/// Run the counter until it is told to stop (SIGTERM or SIGINT); requests in flight then finish. Policies, issuers and
/// platforms are taken up when their files change, or at once by SIGHUP.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cambio serve --config cambio.yaml
  cambio serve --config cambio.yaml --check        say everything that is wrong, and stop")]
pub(super) struct Serve {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", default_value = "cambio.yaml")]
    config: PathBuf,
    /// Check configuration, policies and their cases, keys and certificate; listen to nothing.
    #[arg(long)]
    check: bool,
    /// Worker threads; default one per core.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
}

impl Serve {
    pub(super) fn run(self) -> Answer {
        let config = Config::load(&self.config).map_err(CliError::new)?;
        start_logs(&config.log).map_err(CliError::new)?;
        quiet_panics();
        if self.check {
            return check(config);
        }
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        if let Some(workers) = self.workers {
            runtime.worker_threads(usize::from(workers));
        }
        let runtime = runtime.enable_all().build().map_err(CliError::new)?;
        runtime.block_on(serve(config))
    }
}

/// Reads everything that the server would run with, and changes nothing: no key is made, no directory created, and a
/// server that runs on the same data is not disturbed.
fn check(config: Config) -> Answer {
    let policies = NewPolicies::load(&config.policies, &config.catalog()).map_err(CliError::new)?;
    if !policies.warnings().is_empty() {
        println!("{}", Told(policies.warnings()));
    }
    let now = Clock::System.now();
    let (logins, tenants) = (config.logins, config.tenants);
    let rules =
        policies.into_rules(config.issuers, config.default_target, logins, tenants, now).map_err(CliError::new)?;
    if let Some(tls) = config.tls {
        Tls::open(tls).map_err(CliError::new)?;
    }
    if matches!(config.keys.source, KeySource::Files(_)) {
        KeyRing::open(&config.keys, now).map_err(CliError::new)?;
    }
    let warnings =
        Some(rules.warnings).filter(|some| *some > 0).map(|some| format!(", {}", count(some, "warning", "warnings")));
    let (issuers, targets) =
        (count(rules.issuers.len(), "issuer", "issuers"), count(rules.policies.targets().len(), "target", "targets"));
    println!("ok: {issuers}, {targets}, all cases hold{}", warnings.unwrap_or_default());
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: Config) -> Answer {
    // First of all: before somebody listens to it, SIGHUP ends a process.
    let mut hangup = signal(SignalKind::hangup()).map_err(CliError::new)?;
    let app = App::open(config, Clock::System).await.map_err(CliError::new)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(CliError::new)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CliError::new)?;
    let running = app.listen().await.map_err(CliError::new)?;
    let rules = running.counter().rules();
    tracing::info!(
        address = %running.address(),
        ops = %running.ops_address(),
        issuers = rules.issuers.len(),
        targets = rules.policies.targets().len(),
        policy_set = %rules.policies.digest(),
        "cambio is listening"
    );
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            Some(()) = hangup.recv() => running.reload(),
        }
    }
    tracing::info!("stopping; requests in flight finish first");
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}
