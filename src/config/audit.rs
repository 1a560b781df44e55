//! The `audit` section of `cambio.yaml`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use super::bytes::ByteSize;
use super::problem::Problem;
use crate::audit::{
    BearerSource, ClaimDetail, DecisionRetention, Facility, JournalSettings, OnFailure, OutletKind, OutletSettings,
    Sink, SyslogAddress, SyslogSettings, WebhookSettings,
};
use crate::clock::Span;

/// Where decisions are recorded.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AuditFile {
    /// `-` for standard output; default `<data>/audit/decisions.jsonl`.
    pub(super) file: Option<PathBuf>,
    /// Whether exchanges that cannot be recorded are denied, or go on and are counted.
    pub(super) on_failure: OnFailure,
    /// What of a token's claims is recorded: `none`, `names`, `values`.
    pub(super) claims: ClaimDetail,
    /// A journal file is closed and a new one begun at this size.
    pub(super) rotate_at: Option<ByteSize>,
    /// How many closed files are kept.
    pub(super) keep: Option<usize>,
    /// How long a closed file is kept after its newest record.
    pub(super) keep_for: Option<Span>,
    /// Where records go besides the file.
    pub(super) sinks: Vec<SinkFile>,
    /// Decisions in the store.
    pub(super) decisions: DecisionsFile,
}

/// One of `audit.sinks`.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum SinkFile {
    /// Standard output.
    Stdout {
        #[serde(default)]
        name: Option<String>,
        #[serde(default = "dropping")]
        on_failure: OnFailure,
    },
    /// RFC 5424.
    Syslog {
        #[serde(default)]
        name: Option<String>,
        #[serde(default = "dropping")]
        on_failure: OnFailure,
        /// `udp://HOST:PORT`, `tcp://HOST:PORT`, or `unix://PATH`.
        address: String,
        #[serde(default)]
        facility: Facility,
        #[serde(default)]
        max_bytes: Option<ByteSize>,
    },
    /// Batches of JSON lines, posted.
    Webhook {
        #[serde(default)]
        name: Option<String>,
        #[serde(default = "dropping")]
        on_failure: OnFailure,
        url: String,
        /// A file with the bearer token; else the environment variable `CAMBIO_AUDIT_<NAME>_BEARER`, if it is set.
        #[serde(default)]
        bearer_file: Option<PathBuf>,
        #[serde(default)]
        ca_file: Option<PathBuf>,
        #[serde(default = "ten_seconds")]
        timeout: Span,
        #[serde(default)]
        insecure_http: bool,
    },
}

/// Decisions in the store.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DecisionsFile {
    /// The oldest that is kept.
    keep_for: Span,
    /// How many are kept; 0: none.
    max: u64,
}

impl Default for DecisionsFile {
    fn default() -> Self {
        let DecisionRetention { keep_for, max } = DecisionRetention::default();
        Self { keep_for: Span::from_secs(keep_for.as_secs()), max }
    }
}

const fn dropping() -> OnFailure {
    OnFailure::Drop
}

const fn ten_seconds() -> Span {
    Span::from_secs(10)
}

impl DecisionsFile {
    pub(super) fn retention(&self) -> Option<DecisionRetention> {
        (self.max > 0).then(|| DecisionRetention { keep_for: self.keep_for.duration(), max: self.max })
    }
}

/// The journal's settings.
pub(super) fn journal(audit: AuditFile, data: &Path, base: &Path, problems: &mut Vec<Problem>) -> JournalSettings {
    let sink = match &audit.file {
        Some(file) if file.as_os_str() == "-" => Sink::Stdout,
        Some(file) => file_sink(base.join(file), &audit),
        None => file_sink(data.join("audit").join("decisions.jsonl"), &audit),
    };
    let mut outlets: Vec<OutletSettings> = Vec::new();
    for file in audit.sinks {
        let Some(outlet) = outlet(file, base, problems) else { continue };
        if outlets.iter().any(|other| other.name == outlet.name) {
            let fix = "give each sink a `name` of its own";
            problems.push(Problem::new("audit.sinks", format!("two sinks are called `{}`", outlet.name), fix));
        }
        if matches!((&sink, &outlet.to), (Sink::Stdout, OutletKind::Stdout)) {
            problems.push(Problem::new("audit.sinks", "records go to standard output already", "remove this sink"));
        }
        outlets.push(outlet);
    }
    let keys = Some(data.join("audit-keys"));
    let (on_failure, claims) = (audit.on_failure, audit.claims);
    JournalSettings { on_failure, claims, keys, outlets, ..JournalSettings::new(sink) }
}

fn file_sink(path: PathBuf, audit: &AuditFile) -> Sink {
    let rotate_bytes = audit.rotate_at.map_or(64 * 1024 * 1024, ByteSize::bytes);
    let keep_for = audit.keep_for.map(Span::duration).filter(|span| *span > Duration::ZERO);
    Sink::File { path, rotate_bytes, keep: audit.keep.unwrap_or(10), keep_for }
}

fn outlet(file: SinkFile, base: &Path, problems: &mut Vec<Problem>) -> Option<OutletSettings> {
    let mut problem = |error: String, fix: &str| problems.push(Problem::new("audit.sinks", error, fix));
    let (name, on_failure, to) = match file {
        SinkFile::Stdout { name, on_failure } => (name.unwrap_or("stdout".to_owned()), on_failure, OutletKind::Stdout),
        SinkFile::Syslog { name, on_failure, address, facility, max_bytes } => {
            let Some(address) = syslog_address(&address) else {
                problem(
                    format!("`{address}` is no address of a syslog collector"),
                    "write udp://HOST:PORT, tcp://HOST:PORT or unix:///dev/log",
                );
                return None;
            };
            let usual = if matches!(address, SyslogAddress::Udp(_)) { 2048 } else { 64 * 1024 };
            let max_bytes = max_bytes.and_then(|most| usize::try_from(most.bytes()).ok()).unwrap_or(usual);
            if !(480..=64 * 1024).contains(&max_bytes) {
                problem("`max_bytes` is not between 480 and 64 KiB".to_owned(), "leave it out for the usual bound");
            }
            let settings = SyslogSettings { address, facility, max_bytes };
            (name.unwrap_or("syslog".to_owned()), on_failure, OutletKind::Syslog(settings))
        }
        SinkFile::Webhook { name, on_failure, url, bearer_file, ca_file, timeout, insecure_http } => {
            let name = name.unwrap_or("webhook".to_owned());
            let parsed = Url::parse(&url).ok().filter(|url| url.username().is_empty() && url.password().is_none());
            let plain = |url: &Url| url.scheme() == "http" && insecure_http;
            let Some(url) = parsed.filter(|url| url.scheme() == "https" || plain(url)) else {
                problem(
                    format!("the URL of the webhook `{name}` is not https, or has a password in it"),
                    "records say who may do what; the token goes into `bearer_file`",
                );
                return None;
            };
            let bearer = match bearer_file {
                Some(file) => Some(BearerSource::File(base.join(file))),
                None => bearer_from_environment(&name).map(BearerSource::Text),
            };
            let (ca_file, timeout) = (ca_file.map(|file| base.join(file)), timeout.duration());
            if timeout.is_zero() || timeout > Duration::from_secs(60) {
                problem(
                    format!("the timeout of the webhook `{name}` is not between 0 and 60 s"),
                    "leave it out for 10 s",
                );
            }
            (name, on_failure, OutletKind::Webhook(WebhookSettings { url, bearer, ca_file, timeout }))
        }
    };
    Some(OutletSettings { name, on_failure, to })
}

fn syslog_address(text: &str) -> Option<SyslogAddress> {
    let (kind, rest) = text.split_once("://")?;
    let with_port =
        |rest: &str| rest.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    match kind {
        "udp" if with_port(rest) => Some(SyslogAddress::Udp(rest.to_owned())),
        "tcp" if with_port(rest) => Some(SyslogAddress::Tcp(rest.to_owned())),
        "unix" if rest.starts_with('/') => Some(SyslogAddress::Unix(PathBuf::from(rest))),
        _ => None,
    }
}

#[allow(clippy::disallowed_methods, reason = "secrets are what the environment is for")]
fn bearer_from_environment(name: &str) -> Option<Zeroizing<String>> {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    std::env::var(format!("CAMBIO_AUDIT_{plain}_BEARER")).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn read(yaml: &str) -> (JournalSettings, Vec<String>) {
        let file: AuditFile = serde_saphyr::from_str(yaml).unwrap();
        let mut problems = Vec::new();
        let settings = journal(file, Path::new("/data"), Path::new("/etc/cambio"), &mut problems);
        (settings, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn sinks_are_read_as_they_are_written() {
        let (settings, problems) = read(
            "{keep_for: 90d, sinks: [{kind: stdout}, {kind: syslog, address: 'tcp://log.example:601', on_failure: deny},
              {kind: webhook, url: 'https://siem.example/in', bearer_file: siem.token, name: siem}]}",
        );
        assert!(problems.is_empty(), "{problems:?}");
        let names: Vec<(&str, OnFailure)> =
            settings.outlets.iter().map(|outlet| (outlet.name.as_str(), outlet.on_failure)).collect();
        assert_eq!(names, [("stdout", OnFailure::Drop), ("syslog", OnFailure::Deny), ("siem", OnFailure::Drop)]);
        let OutletKind::Webhook(webhook) = &settings.outlets[2].to else { panic!("no webhook") };
        assert!(
            matches!(&webhook.bearer, Some(BearerSource::File(file)) if file == Path::new("/etc/cambio/siem.token"))
        );
        assert!(matches!(settings.sink, Sink::File { keep_for: Some(span), .. } if span.as_secs() == 90 * 86_400));
    }

    #[rstest]
    #[case("{kind: syslog, address: 'log.example:514'}", "no address")]
    #[case("{kind: syslog, address: 'udp://log.example'}", "no address")]
    #[case("{kind: syslog, address: 'unix://dev/log'}", "no address")]
    #[case("{kind: syslog, address: 'udp://a:514', max_bytes: 100B}", "max_bytes")]
    #[case("{kind: webhook, url: 'http://siem.example'}", "not https")]
    #[case("{kind: webhook, url: 'https://user:secret@siem.example'}", "not https")]
    #[case("{kind: webhook, url: 'https://siem.example', timeout: 2m}", "timeout")]
    #[case("{kind: stdout}, {kind: stdout}", "two sinks")]
    fn one_mistake_is_said(#[case] sink: &str, #[case] said: &str) {
        let (_, problems) = read(&format!("{{sinks: [{sink}]}}"));
        assert!(problems.len() == 1 && problems[0].contains(said), "{problems:?}");
        assert!(!problems[0].contains("secret"));
    }

    #[test]
    fn standard_output_is_written_to_once() {
        assert_eq!(read("{file: '-', sinks: [{kind: stdout}]}").1.len(), 1);
        assert!(read("{sinks: [{kind: stdout}]}").1.is_empty());
    }

    #[test]
    fn decisions_are_kept_in_the_store_unless_none_are_wanted() {
        let retention = |yaml: &str| serde_saphyr::from_str::<DecisionsFile>(yaml).unwrap().retention();
        assert_eq!(retention("{}"), Some(DecisionRetention::default()));
        assert_eq!(retention("{max: 0}"), None);
        assert_eq!(retention("{keep_for: 1d, max: 5}").unwrap().keep_for.as_secs(), 86_400);
    }
}
