//! `cambio audit verify`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::on_database;
use crate::audit::{ChainReport, Report, Sink, Verifier, known_key, thumbprint};
use crate::cli::text::shown;
use crate::cli::{Answer, CliError, NO, pretty, print};
use crate::config::Config;

/// How many heads are taken from the store at most: one for each segment.
const MOST_HEADS: u32 = 100_000;
/// A line may be on its way while a running server's journal is read.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// Verify that the audit journal is what was written: any edit, cut, gap, insertion or foreign signature.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 nothing is wrong, 1 something is, 2 it could not be read.

A journal is verified by what it says itself, by its key (`--key`, or with `--config` the one in the data directory), and by
heads from elsewhere, without which a cut at the end cannot be seen: the log lines `audit head`, the store, and with
`--config` the newest head that is kept beside the key.

Examples:
  cambio audit verify --config cambio.yaml
  cambio audit verify --config cambio.yaml --heads store --heads /var/log/cambio.log
  cambio audit verify /backup/audit --key t0KCY5NjpQGHeQIf1cLMiRAYXgFqvV_A35piLCajbyU --json")]
pub(super) struct Verify {
    /// A journal file (full ones beside it are read too), or a directory with journals; default: the configuration's.
    #[arg(value_name = "FILE|DIR")]
    path: Option<PathBuf>,
    /// The configuration file, which names the journal and its key; default `cambio.yaml`, if no path is given.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A key that must have signed: its thumbprint (RFC 7638), or the public key as a JWK. Several: one of them.
    #[arg(long, value_name = "THUMBPRINT|JWK")]
    key: Vec<String>,
    /// Where further heads are: `store`, or a file in which they stand, such as cambio's log.
    #[arg(long, value_name = "store|FILE")]
    heads: Vec<String>,
    /// Print a JSON document.
    #[arg(long)]
    json: bool,
}

/// What is known from elsewhere.
#[derive(Default)]
struct Known {
    keys: Vec<String>,
    heads: BTreeSet<String>,
    remarks: Vec<String>,
}

impl Verify {
    pub(super) fn run(self) -> Answer {
        let config = match (&self.config, &self.path) {
            (None, Some(_)) => None,
            (given, _) => {
                let path = given.clone().unwrap_or_else(|| PathBuf::from("cambio.yaml"));
                Some(Config::load(&path).map_err(CliError::new)?)
            }
        };
        // Before the files: what they have must not be older than what is expected of them.
        let known = self.known(config.as_ref())?;
        let mut report = self.look(config.as_ref(), &known)?;
        for _ in 1..TRIES {
            let on_its_way = |report: &Report| report.faults.iter().all(|fault| fault.what.contains("is not whole"));
            if report.is_good() || !on_its_way(&report) {
                break;
            }
            std::thread::sleep(PAUSE);
            report = self.look(config.as_ref(), &known)?;
        }
        print(&if self.json { pretty(&as_json(&report, &known)) } else { told(&report, &known) })?;
        Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::from(NO) })
    }

    fn known(&self, config: Option<&Config>) -> Result<Known, CliError> {
        let mut known = Known::default();
        for key in &self.key {
            let bad = || CliError::new("`--key` is neither a thumbprint (43 characters of base64url) nor a public JWK");
            let key = match key.trim() {
                jwk if jwk.starts_with('{') => thumbprint(jwk).ok_or_else(bad)?,
                text if text.len() == 43 => text.to_owned(),
                _ => return Err(bad()),
            };
            known.keys.push(key);
        }
        if let Some(keys) = config.and_then(|config| config.audit.keys.as_ref()) {
            let own = known_key(keys).map_err(CliError::new)?;
            known.heads.extend(own.head);
            if known.keys.is_empty() {
                known.keys.extend(own.thumbprint);
            }
        }
        for from in &self.heads {
            if from == "store" {
                let config = config.ok_or_else(|| CliError::new("`--heads store` needs `--config`"))?;
                let heads = on_database(config, async |database| database.audit_heads(MOST_HEADS).await);
                let heads =
                    heads.map_err(|error| CliError::new(format!("cannot read heads from the store: {error}")))?;
                let heads = heads.ok_or_else(|| CliError::new("there is no store yet"))?;
                known.heads.extend(heads.into_iter().map(|row| row.head));
            } else {
                let count = known.heads.len();
                heads_in(Path::new(from), &mut known.heads)?;
                if known.heads.len() == count {
                    known.remarks.push(format!("`{}` has no further heads", shown(from)));
                }
            }
        }
        Ok(known)
    }

    fn look(&self, config: Option<&Config>, known: &Known) -> Result<Report, CliError> {
        let mut verifier = Verifier::new();
        known.keys.iter().for_each(|key| verifier.pin(key));
        for head in &known.heads {
            if !verifier.expect(head) {
                return Err(CliError::new("a head from elsewhere is none; was it copied whole?"));
            }
        }
        for journal in self.journals(config)? {
            let failed = |error| CliError::new(format!("cannot read the journal `{}`: {error}", journal.display()));
            verifier.journal(&journal).map_err(failed)?;
        }
        Ok(verifier.finish())
    }

    fn journals(&self, config: Option<&Config>) -> Result<Vec<PathBuf>, CliError> {
        match (&self.path, config.map(|config| &config.audit.sink)) {
            (Some(path), _) if path.is_dir() => in_directory(path),
            (Some(path), _) => Ok(vec![path.clone()]),
            (None, Some(Sink::File { path, .. })) => Ok(vec![path.clone()]),
            (None, _) => {
                Err(CliError::new("the journal goes to standard output; give the file that it was collected in"))
            }
        }
    }
}

/// The journals of a directory, by the names that their newest files have, or would have.
fn in_directory(directory: &Path) -> Result<Vec<PathBuf>, CliError> {
    let failed = |error| CliError::new(format!("cannot read `{}`: {error}", directory.display()));
    let mut journals = BTreeSet::new();
    for entry in directory.read_dir().map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let (Some(stem), Some(extension)) = (path.file_stem().and_then(|s| s.to_str()), path.extension()) else {
            continue;
        };
        if extension != "jsonl" {
            continue;
        }
        let full = |(_, stamp): &(&str, &str)| stamp.len() == 15 && stamp.bytes().all(|b| b.is_ascii_digit());
        let base = stem.rsplit_once('-').filter(full).map_or(stem, |(base, _)| base);
        journals.insert(directory.join(format!("{base}.jsonl")));
    }
    if journals.is_empty() {
        return Err(CliError::new(format!("there is no journal (`*.jsonl`) in `{}`", directory.display())));
    }
    Ok(journals.into_iter().collect())
}

/// Everything in a file that reads as a head, wherever in a line it stands.
fn heads_in(path: &Path, heads: &mut BTreeSet<String>) -> Result<(), CliError> {
    let failed = |error| CliError::new(format!("cannot read heads from `{}`: {error}", path.display()));
    let mut lines = BufReader::new(File::open(path).map_err(failed)?);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).map_err(failed)? > 0 {
        let compact = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        for word in line.split(|b| !compact(*b)).filter(|word| word.starts_with(b"eyJ")) {
            let word = String::from_utf8_lossy(word).into_owned();
            // A log may quote other tokens; those are none of ours.
            if heads.len() < MOST_HEADS as usize && Verifier::new().expect(&word) {
                heads.insert(word);
            }
        }
        line.clear();
    }
    Ok(())
}

fn as_json(report: &Report, known: &Known) -> serde_json::Value {
    let uncovered: Vec<_> = report
        .chains
        .iter()
        .filter_map(|chain| chain.uncovered().map(|(from, to)| json!({"chain": chain.chain, "from": from, "to": to})))
        .collect();
    json!({
        "good": report.is_good(), "faults": report.faults, "fault_count": report.fault_count, "chains": report.chains,
        "uncovered": uncovered, "notes": report.notes, "key_pinned": report.pinned, "heads": report.heads,
        "remarks": known.remarks,
    })
}

fn told(report: &Report, known: &Known) -> String {
    let mut text = String::new();
    for fault in &report.faults {
        let seq = fault.seq.map(|seq| format!(" (line {seq} of the chain)")).unwrap_or_default();
        let place = if fault.line == 0 { fault.file.clone() } else { format!("{}:{}", fault.file, fault.line) };
        let _ = writeln!(text, "{}{seq}: {}", shown(&place), shown(&fault.what));
    }
    let told = u64::try_from(report.faults.len()).unwrap_or(u64::MAX);
    if report.fault_count > told {
        let _ = writeln!(text, "... and {} more", report.fault_count - told);
    }
    for chain in &report.chains {
        text += &chain_told(chain);
    }
    for note in report.notes.iter().chain(&known.remarks) {
        let _ = writeln!(text, "note: {}", shown(note));
    }
    if !report.pinned {
        text +=
            "note: no key was given (`--key`): whoever wrote all of this anew with a key of their own is not seen\n";
    }
    if report.heads == 0 {
        text += "note: no heads from elsewhere were given (`--heads`): a cut at the end is not seen\n";
    }
    let _ = match report.fault_count {
        0 => writeln!(text, "good"),
        1 => writeln!(text, "DAMAGED: 1 fault"),
        many => writeln!(text, "DAMAGED: {many} faults"),
    };
    text
}

fn chain_told(chain: &ChainReport) -> String {
    let mut text = String::new();
    let ChainReport { first_segment, last_segment, first_seq, last_seq, records, .. } = chain;
    let _ = writeln!(text, "chain {}", shown(&chain.chain));
    let _ = writeln!(text, "  segments  {first_segment} to {last_segment}, lines {first_seq} to {last_seq}");
    let times = chain.first_time.as_deref().zip(chain.last_time.as_deref());
    let times = times.map(|(first, last)| format!(", {} to {}", shown(first), shown(last))).unwrap_or_default();
    let _ = writeln!(text, "  records   {records}{times}");
    for key in &chain.keys {
        let heads = chain.heads_by.get(key).copied().unwrap_or(0);
        let _ = writeln!(text, "  key       {} ({heads} heads)", shown(key));
    }
    match &chain.last_head {
        Some(head) => {
            let _ = writeln!(text, "  last head covers line {}, signed at {}", head.seq, shown(&head.time));
        }
        None => text += "  no good head\n",
    }
    if let Some((from, to)) = chain.uncovered() {
        let _ = writeln!(text, "  no signature covers lines {from} to {to}");
    }
    if chain.torn > 0 {
        let _ = writeln!(text, "  {} lines were cut off by crashes, and are named", chain.torn);
    }
    text
}
