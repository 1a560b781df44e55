//! One round of the agent: the token, then each file made from a template. Decides what is written; a file whose content can
//! not be had stays as it was.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::template::Template;
use crate::cli::session::{Readings, Session, Stop};
use crate::cli::{CliError, private_file};

/// The largest template, in bytes.
const MOST: u64 = 1024 * 1024;

/// The files to keep.
pub(super) struct Files<'a> {
    pub(super) token: Option<&'a Path>,
    pub(super) templates: &'a [(PathBuf, PathBuf)],
    pub(super) mode: u32,
    pub(super) verbose: bool,
}

/// What came of a round.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// Whether a file has other content than before.
    pub(super) changed: bool,
    /// The first thing that did not work; what could not be asked goes before what was refused.
    pub(super) stop: Option<Stop>,
}

impl Files<'_> {
    /// Whether no file is written twice, or over a template.
    pub(super) fn check(&self) -> Result<(), CliError> {
        let outs: Vec<&Path> =
            self.token.into_iter().chain(self.templates.iter().map(|(_, out)| out.as_path())).collect();
        let twice = outs.iter().enumerate().find(|(index, out)| outs.iter().take(*index).any(|other| other == *out));
        let over = self.templates.iter().find(|(from, _)| outs.contains(&from.as_path()));
        match (twice, over) {
            (Some((_, out)), _) => Err(CliError::new(format!("`{}` is to be written twice", out.display()))),
            (_, Some((from, _))) => {
                Err(CliError::new(format!("`{}` is a template, and to be written", from.display())))
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn write(&self, session: &mut Session<'_>) -> Round {
        let mut round = Round::default();
        if let Err(stop) = session.renew_when_due().await {
            round.failed(stop);
        }
        // The token from before may be good for a third of its life yet: a renewal that failed is told already.
        let token = match (session.has_good_token(), &round.stop) {
            (false, Some(_)) => return round,
            _ => session.token().await,
        };
        match (token, self.token) {
            (Ok(token), Some(path)) => self.replace(path, token.as_bytes(), &mut round),
            (Ok(_), None) => {}
            (Err(stop), _) => {
                round.failed(stop);
                return round;
            }
        }
        let mut readings = Readings::default();
        for (from, out) in self.templates {
            match rendered(from, session, &mut readings).await {
                Ok(text) => self.replace(out, text.as_bytes(), &mut round),
                Err(stop) => round.failed(stop.of(&format!("`{}`", out.display()))),
            }
        }
        round
    }

    /// Replaces a file unless it is as it should be.
    fn replace(&self, path: &Path, content: &[u8], round: &mut Round) {
        if is_there(path, content) {
            return;
        }
        match private_file::write_for(path, content, self.mode) {
            Ok(()) => {
                round.changed = true;
                if self.verbose {
                    eprintln!("cambio: written {}", path.display());
                }
            }
            Err(error) => round.failed(error.into()),
        }
    }
}

impl Round {
    fn failed(&mut self, stop: Stop) {
        let outweighs = match &self.stop {
            None => true,
            Some(before) => before.code() < stop.code(),
        };
        if outweighs {
            self.stop = Some(stop);
        }
    }
}

fn is_there(path: &Path, content: &[u8]) -> bool {
    let as_long = fs::symlink_metadata(path).is_ok_and(|there| there.is_file() && there.len() == content.len() as u64);
    as_long && fs::read(path).map(Zeroizing::new).is_ok_and(|there| *there == content)
}

async fn rendered(from: &Path, session: &mut Session<'_>, readings: &mut Readings) -> Result<Zeroizing<String>, Stop> {
    let template =
        Template::parse(&read(from)?).map_err(|fault| CliError::new(format!("`{}`, {fault}", from.display())))?;
    let (mut values, mut first) = (Vec::new(), None);
    for reference in template.references() {
        let read = readings.value(session, &session.place_of(reference)?).await;
        match read {
            Ok(value) => values.push(value),
            // By its place, which is no secret; the first is told, and the rest is the operator's next look.
            Err(stop) => first = first.or_else(|| Some(stop.of(&reference.to_string()))),
        }
    }
    first.map_or_else(|| Ok(template.render(&values)), Err)
}

fn read(from: &Path) -> Result<String, CliError> {
    let unreadable = |error: std::io::Error| CliError::new(format!("cannot read `{}`: {error}", from.display()));
    let mut text = String::new();
    File::open(from).and_then(|file| file.take(MOST + 1).read_to_string(&mut text)).map_err(unreadable)?;
    if text.len() as u64 > MOST {
        return Err(CliError::new(format!("`{}` is larger than 1 MiB", from.display())));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(Some("/t"), &[("/a", "/b")], true)]
    #[case(Some("/b"), &[("/a", "/b")], false)]
    #[case(None, &[("/a", "/b"), ("/c", "/b")], false)]
    #[case(None, &[("/a", "/a")], false)]
    #[case(None, &[("/a", "/b"), ("/b", "/c")], false)]
    fn no_file_is_written_twice_or_over_a_template(
        #[case] token: Option<&str>,
        #[case] templates: &[(&str, &str)],
        #[case] good: bool,
    ) {
        let templates: Vec<_> = templates.iter().map(|(from, out)| (PathBuf::from(from), PathBuf::from(out))).collect();
        let files = Files { token: token.map(Path::new), templates: &templates, mode: 0o600, verbose: false };
        assert_eq!(files.check().is_ok(), good);
    }

    #[test]
    fn a_file_with_the_same_content_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("out");
        let files = Files { token: None, templates: &[], mode: 0o600, verbose: false };
        for (content, changed) in [("one", true), ("one", false), ("two", true)] {
            let mut round = Round::default();
            files.replace(&path, content.as_bytes(), &mut round);
            assert_eq!((round.changed, round.stop), (changed, None), "{content}");
        }
        let mut round = Round::default();
        files.replace(home.path(), b"x", &mut round);
        assert!(matches!(round.stop, Some(Stop::Failed(_))) && !round.changed);
    }

    #[test]
    fn what_could_not_be_asked_goes_before_a_refusal() {
        let mut round = Round::default();
        for stop in [Stop::No("a".into()), Stop::Failed("b".into()), Stop::No("c".into()), Stop::Failed("d".into())] {
            round.failed(stop);
        }
        assert_eq!(round.stop, Some(Stop::Failed("b".into())));
    }
}
