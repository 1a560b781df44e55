//! Files and directories: who may read and write them, whether keys and certificate are good.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use super::certificate;
use super::finding::Finding;
use crate::cli::text::{count, relative};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::http::{Tls, TlsSettings};
use crate::mint::{self, KeySource, KeyState};

/// How long before its end a certificate should have been replaced.
const SOON: Duration = Duration::from_secs(14 * 86_400);

fn mode(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|metadata| metadata.permissions().mode() & 0o7777)
}

/// What decides who gets what must be written by its owner alone.
pub(super) fn writable_by_others(part: &str, path: &Path) -> Option<Finding> {
    let mode = mode(path)?;
    let text =
        |who: &str| format!("{who} may write `{}` (mode {mode:04o}), and so grant themselves anything", path.display());
    // A directory with the sticky bit still lets everybody add files.
    if mode & 0o002 != 0 {
        return Some(Finding::wrong(part, text("all users"), format!("`chmod o-w {}`", path.display())));
    }
    (mode & 0o020 != 0).then(|| {
        let fix = format!("`chmod g-w {}`, unless the group is meant to", path.display());
        Finding::warning(part, text("its group"), fix)
    })
}

/// The data directory and the signing keys in it.
pub(super) fn data(config: &Config, now: Timestamp) -> Vec<Finding> {
    let path = &config.data;
    let mut findings = Vec::new();
    match mode(path) {
        None => {
            let parent = path.ancestors().skip(1).find(|parent| parent.as_os_str().is_empty() || parent.exists());
            let parent = parent.filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            findings.push(match try_write(parent) {
                Ok(()) => Finding::ok("data", format!("`{}` is made at the first start", path.display())),
                Err(error) => Finding::wrong(
                    "data",
                    format!("`{}` is missing, and cannot be made: {error}", path.display()),
                    "make it with mode 0700, owned by the user that cambio runs as",
                ),
            });
        }
        Some(mode) if mode & 0o077 != 0 => {
            let text =
                format!("`{}` is open to other users (mode {mode:04o}); cambio does not start so", path.display());
            let fix = format!("`chmod 0700 {}`, and ask who has read the keys in it", path.display());
            findings.push(Finding::wrong("data", text, fix));
        }
        Some(_) => findings.push(match try_write(path) {
            Ok(()) => Finding::ok("data", format!("`{}` is private and writable", path.display())),
            Err(error) => Finding::wrong(
                "data",
                format!("`{}` cannot be written: {error}", path.display()),
                "is the disk full or read-only? Or run this as the user that cambio runs as",
            ),
        }),
    }
    findings.push(signing_keys(config, now));
    findings
}

fn signing_keys(config: &Config, now: Timestamp) -> Finding {
    if matches!(config.keys.source, KeySource::Database { .. }) {
        return Finding::ok("signing keys", "kept in the database; `cambio keys list` shows them");
    }
    let keys = match mint::list(&config.keys) {
        Ok(keys) => keys,
        Err(error) => {
            return Finding::wrong("signing keys", error, "cambio does not start, or keeps the keys that it has");
        }
    };
    let active = keys.iter().find(|key| matches!(key.state, KeyState::Active { .. }));
    match active {
        None => Finding::ok("signing keys", "none yet; the first one is made at the first start"),
        Some(key) => {
            let created = key.created.map(|created| format!(", made {}", relative(created, now))).unwrap_or_default();
            let all = count(keys.len(), "key", "keys");
            Finding::ok("signing keys", format!("{all}; {} signs ({}{created})", key.key_id, key.algorithm.name()))
        }
    }
}

/// Makes a file and removes it: permissions alone do not tell of a full or read-only disk.
fn try_write(directory: &Path) -> std::io::Result<()> {
    let probe = directory.join(format!(".cambio-doctor-{}", std::process::id()));
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&probe)?;
    fs::remove_file(&probe)
}

/// Certificate and key, or what there is to say about their absence.
pub(super) fn tls(config: &Config, now: Timestamp) -> Vec<Finding> {
    let Some(settings) = &config.tls else {
        if config.listen.ip().is_loopback() {
            return Vec::new();
        }
        let text = format!("cambio listens on {} without TLS: tokens are readable on the way", config.listen);
        return vec![Finding::warning("tls", text, "give `tls`, or listen on loopback behind something that has it")];
    };
    if let Some(mode) = mode(&settings.key).filter(|mode| mode & 0o027 != 0) {
        let text = format!("the private key `{}` is open to others (mode {mode:04o})", settings.key.display());
        let open = Finding::wrong("tls", text, format!("`chmod 0600 {}`, and replace it", settings.key.display()));
        return vec![open, lasts(settings, now)];
    }
    if let Err(error) = Tls::open(settings.clone()) {
        let fix = "`tls.certificate` is the chain, leaf first, and `tls.key` its key, both PEM";
        return vec![Finding::wrong("tls", error, fix)];
    }
    vec![lasts(settings, now)]
}

/// How long the certificate is good.
fn lasts(settings: &TlsSettings, now: Timestamp) -> Finding {
    let pem = fs::read_to_string(&settings.certificate).unwrap_or_default();
    let Some(end) = certificate::not_after(&pem) else {
        return Finding::warning(
            "tls",
            "when the certificate ends cannot be read from it",
            "look with `openssl x509 -enddate`",
        );
    };
    let fix = "renew it: cambio takes the new file up by itself";
    match end {
        end if end <= now => {
            Finding::wrong("tls", format!("the certificate expired {} ({end})", relative(end, now)), fix)
        }
        end if end <= now.plus(SOON) => {
            Finding::warning("tls", format!("the certificate expires {} ({end})", relative(end, now)), fix)
        }
        end => Finding::ok("tls", format!("the certificate is good until {end}")),
    }
}
