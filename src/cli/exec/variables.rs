//! What is in the environment, and what of it the command gets. Decides which variables are references, and which are
//! nobody's business but ours; quotes no value.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use zeroize::Zeroizing;

use crate::cli::CliError;
use crate::cli::session::OWN_VARIABLES;
use crate::secrets::reference::Reference;

/// The largest file with variables, in bytes.
const MOST: u64 = 1024 * 1024;
/// By these a process gets a token of its platform.
const PLATFORM_VARIABLES: [&str; 12] = [
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AZURE_FEDERATED_TOKEN_FILE",
    "BITBUCKET_STEP_OIDC_TOKEN",
    "BUILDKITE_AGENT_ACCESS_TOKEN",
    "CIRCLE_OIDC_TOKEN",
    "CIRCLE_OIDC_TOKEN_V2",
    "CI_JOB_TOKEN",
    "SYSTEM_ACCESSTOKEN",
    "SYSTEM_OIDCREQUESTURI",
    "TFC_WORKLOAD_IDENTITY_TOKEN",
];
/// What a program needs to find its way, whatever else is left out.
const PLAIN: [&str; 6] = ["PATH", "HOME", "USER", "LANG", "TERM", "TZ"];

/// A variable and its value.
type Variable = (OsString, OsString);

/// What the command gets.
pub(super) type Environment = Vec<Variable>;

/// What of the environment is looked at, and passed on.
pub(super) struct Rules<'a> {
    /// Their values stay as they are.
    pub(super) except: &'a [String],
    pub(super) only_references: bool,
    pub(super) scrub: bool,
    /// The variable that holds the platform's token, as `--token-env` says.
    pub(super) named: Option<&'a str>,
}

/// The environment, sorted out.
#[derive(Debug)]
pub(super) struct Collected {
    plain: Vec<Variable>,
    /// By the names of their variables.
    pub(super) references: Vec<(OsString, Reference)>,
}

impl Collected {
    /// Sorts out `inherited`, and `file`, which goes before it.
    pub(super) fn new(
        inherited: impl Iterator<Item = Variable>,
        file: Vec<Variable>,
        rules: &Rules<'_>,
    ) -> Result<Self, CliError> {
        let mut all: Vec<Variable> =
            inherited.filter(|(name, _)| file.iter().all(|(other, _)| other != name)).collect();
        all.extend(file);
        all.retain(|(name, _)| !rules.takes_away(name));
        let (mut plain, mut references, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        for (name, value) in all {
            // Text that is none begins like a reference, or does not: its bytes are looked at as they can be.
            let parsed = if rules.excepts(&name) { Ok(None) } else { Reference::of_value(&value.to_string_lossy()) };
            match parsed {
                Ok(Some(reference)) => references.push((name, reference)),
                Ok(None) if rules.only_references && !PLAIN.iter().any(|plain| name == *plain) => {}
                Ok(None) => plain.push((name, value)),
                Err(error) => faults.push(format!("\n  {}: {error}", name.to_string_lossy())),
            }
        }
        if faults.is_empty() {
            return Ok(Self { plain, references });
        }
        Err(CliError::new(format!(
            "nothing was started: these look like references and are none (`--except NAME` leaves one as it is){}",
            faults.concat()
        )))
    }

    /// The command's environment, with `values` in the order of the references.
    pub(super) fn environment(&self, values: &[Zeroizing<String>]) -> Environment {
        let resolved = self.references.iter().zip(values);
        let resolved = resolved.map(|((name, _), value)| (name.clone(), OsString::from(value.as_str())));
        self.plain.iter().cloned().chain(resolved).collect()
    }
}

impl Rules<'_> {
    fn excepts(&self, name: &OsStr) -> bool {
        self.except.iter().any(|except| name == except.as_str())
    }

    fn takes_away(&self, name: &OsStr) -> bool {
        let is = |other: &&str| name == *other;
        OWN_VARIABLES.iter().any(is) || self.named.iter().any(is) || (self.scrub && PLATFORM_VARIABLES.iter().any(is))
    }
}

/// The variables of a file: `NAME=value` lines, as `docker run --env-file` reads them.
pub(super) fn file(path: &Path) -> Result<Vec<Variable>, CliError> {
    let unreadable = |error: std::io::Error| CliError::new(format!("cannot read `{}`: {error}", path.display()));
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path).and_then(|file| file.take(MOST + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > MOST {
        return Err(CliError::new(format!("`{}` is larger than 1 MiB", path.display())));
    }
    let mut variables: Vec<Variable> = Vec::new();
    for (index, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.trim_ascii().is_empty() || line.trim_ascii_start().starts_with(b"#") {
            continue;
        }
        let odd = |what: &str| CliError::new(format!("`{}`, line {}: {what}", path.display(), index + 1));
        let at = line.iter().position(|b| *b == b'=').ok_or_else(|| odd("a line is `NAME=value`"))?;
        let (name, value) = line.split_at_checked(at).ok_or_else(|| odd("a line is `NAME=value`"))?;
        let value = value.strip_prefix(b"=").unwrap_or(value);
        let fits = |b: &u8| b.is_ascii_alphanumeric() || b"_.-".contains(b);
        if name.is_empty() || !name.iter().all(fits) {
            return Err(odd("a name has letters, digits, `_`, `.` and `-`, and no `export` before it"));
        }
        if value.contains(&0) {
            return Err(odd("the value has a zero byte, which no variable can have"));
        }
        let name = OsStr::from_bytes(name).to_owned();
        variables.retain(|(other, _)| *other != name);
        variables.push((name, OsString::from_vec(value.to_vec())));
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const ALL: Rules<'_> = Rules { except: &[], only_references: false, scrub: false, named: Some("JWT") };

    fn variables(pairs: &[(&str, &str)]) -> Vec<Variable> {
        pairs.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect()
    }

    fn collected(pairs: &[(&str, &str)], file: &[(&str, &str)], rules: &Rules<'_>) -> Result<Collected, CliError> {
        Collected::new(variables(pairs).into_iter(), variables(file), rules)
    }

    fn names(environment: &Environment) -> Vec<&str> {
        environment.iter().map(|(name, _)| name.to_str().unwrap()).collect()
    }

    const ENVIRONMENT: [(&str, &str); 8] = [
        ("PATH", "/bin"),
        ("MODE", "fast"),
        ("DB", "k8s://team-a/db/password"),
        ("CAMBIO_TOKEN", "eyJ"),
        ("CAMBIO_SECRETS_TOKEN", "eyJ"),
        ("CAMBIO_TOKEN_FILE", "/token"),
        ("JWT", "eyJ"),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "eyJ"),
    ];

    #[test]
    fn the_command_gets_values_and_no_token_of_ours() {
        let collected = collected(&ENVIRONMENT, &[("MODE", "slow"), ("KEY", "bao://secret/a#/key")], &ALL).unwrap();
        let environment = collected.environment(&["one".to_owned().into(), "two".to_owned().into()]);
        let expected = [
            ("PATH", "/bin"),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "eyJ"),
            ("MODE", "slow"),
            ("DB", "one"),
            ("KEY", "two"),
        ];
        assert_eq!(environment, variables(&expected));
    }

    #[rstest]
    #[case(Rules { scrub: true, ..ALL }, &["PATH", "MODE", "DB"])]
    #[case(Rules { only_references: true, ..ALL }, &["PATH", "DB"])]
    fn less_is_passed_on_where_that_is_asked_for(#[case] rules: Rules<'_>, #[case] expected: &[&str]) {
        let collected = collected(&ENVIRONMENT, &[], &rules).unwrap();
        assert_eq!(names(&collected.environment(&["one".to_owned().into()])), expected);
    }

    #[test]
    fn what_looks_like_a_reference_and_is_none_stops_everything_by_its_name() {
        let pairs = [("A", "K8S://hunter2/db/x"), ("B", "vault://host:8200"), ("C", "k8s://team-a/db/password")];
        let error = collected(&pairs, &[], &ALL).unwrap_err().to_string();
        assert!(error.contains("\n  A: ") && error.contains("\n  B: ") && !error.contains("\n  C: "), "{error}");
        assert!(!error.contains("hunter2") && !error.contains("8200"), "{error}");
        let except = ["A".to_owned(), "B".to_owned()];
        let collected = collected(&pairs, &[], &Rules { except: &except, ..ALL }).unwrap();
        assert_eq!(names(&collected.environment(&["v".to_owned().into()])), ["A", "B", "C"]);
    }

    #[test]
    fn bytes_that_are_no_text_are_passed_on_unless_they_begin_like_a_reference() {
        let bytes = |text: &[u8]| (OsString::from("A"), OsString::from_vec(text.to_vec()));
        assert!(Collected::new([bytes(b"\xff\xfe")].into_iter(), Vec::new(), &ALL).is_ok());
        assert!(Collected::new([bytes(b"k8s://team-a/db/\xff")].into_iter(), Vec::new(), &ALL).is_err());
    }

    #[test]
    fn a_file_has_variables_as_they_are() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("env");
        std::fs::write(&path, "# for tests\n\nA= x \r\nA=b=c\nB='q'\nC=\n").unwrap();
        assert_eq!(file(&path).unwrap(), variables(&[("A", "b=c"), ("B", "'q'"), ("C", "")]));
        for (text, said) in
            [("A=1\nhunter2\n", "line 2"), ("export A=1", "export"), ("A=\0", "zero byte"), ("=x", "a name")]
        {
            std::fs::write(&path, text).unwrap();
            let error = file(&path).unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains("hunter2"), "{error}");
        }
    }
}
