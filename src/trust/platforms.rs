//! The platforms that are known: those in the binary, and those of the operator.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use super::platform::{Platform, PlatformError};

/// Every file under `platforms/`.
const FILES: [(&str, &str); 16] = [
    ("aks", include_str!("../../platforms/aks.yaml")),
    ("azure-devops", include_str!("../../platforms/azure-devops.yaml")),
    ("bitbucket", include_str!("../../platforms/bitbucket.yaml")),
    ("buildkite", include_str!("../../platforms/buildkite.yaml")),
    ("circleci", include_str!("../../platforms/circleci.yaml")),
    ("eks", include_str!("../../platforms/eks.yaml")),
    ("generic", include_str!("../../platforms/generic.yaml")),
    ("github", include_str!("../../platforms/github.yaml")),
    ("gitlab", include_str!("../../platforms/gitlab.yaml")),
    ("gitlab-secrets-manager", include_str!("../../platforms/gitlab-secrets-manager.yaml")),
    ("gke", include_str!("../../platforms/gke.yaml")),
    ("google", include_str!("../../platforms/google.yaml")),
    ("jenkins", include_str!("../../platforms/jenkins.yaml")),
    ("kubernetes", include_str!("../../platforms/kubernetes.yaml")),
    ("spiffe", include_str!("../../platforms/spiffe.yaml")),
    ("terraform-cloud", include_str!("../../platforms/terraform-cloud.yaml")),
];

/// Parsed once; a file that does not parse is missing here, which a test makes impossible to ship.
static EMBEDDED: LazyLock<BTreeMap<Box<str>, Arc<Platform>>> = LazyLock::new(|| {
    let parsed = FILES.iter().filter_map(|(_, yaml)| Platform::parse(yaml).ok());
    parsed.map(|platform| (Box::from(platform.name()), Arc::new(platform))).collect()
});

/// Platforms by name.
#[derive(Clone, Debug)]
pub struct Platforms(BTreeMap<Box<str>, Arc<Platform>>);

impl Platforms {
    /// Those in the binary.
    #[must_use]
    pub fn embedded() -> Self {
        Self(EMBEDDED.clone())
    }

    /// The platform of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Arc<Platform>> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Platform>> {
        self.0.values()
    }

    /// The platforms, apart from `generic`, that `issuer` looks like one of.
    pub fn recognise(&self, issuer: &str) -> impl Iterator<Item = &Arc<Platform>> {
        self.iter().filter(move |platform| platform.name() != "generic" && platform.recognises(issuer))
    }

    /// Adds a platform of the operator's.
    ///
    /// # Errors
    /// [`PlatformError::NameTaken`]: a platform never changes its meaning silently.
    pub fn add(&mut self, platform: Platform) -> Result<(), PlatformError> {
        if self.0.contains_key(platform.name()) {
            return Err(PlatformError::NameTaken(Box::from(platform.name())));
        }
        self.0.insert(Box::from(platform.name()), Arc::new(platform));
        Ok(())
    }

    /// Adds every `*.yaml` and `*.yml` of a directory of the operator's, in the order of their names.
    ///
    /// # Errors
    /// Every file's fault, with the file's path; the others are added.
    pub fn add_directory(&mut self, directory: &Path) -> Result<(), Vec<PlatformError>> {
        let unreadable = |path: &Path, error: &std::io::Error| PlatformError::File {
            path: path.display().to_string(),
            fault: error.to_string(),
        };
        let entries = std::fs::read_dir(directory).map_err(|error| vec![unreadable(directory, &error)])?;
        let mut files: Vec<_> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
        files.retain(|path| path.extension().is_some_and(|kind| kind == "yaml" || kind == "yml"));
        files.sort();
        let mut faults = Vec::new();
        for path in files {
            let added = std::fs::read_to_string(&path)
                .map_err(|error| unreadable(&path, &error))
                .and_then(|yaml| Platform::parse(&yaml).and_then(|platform| self.add(platform)))
                .map_err(|fault| match fault {
                    PlatformError::File { .. } => fault,
                    other => PlatformError::File { path: path.display().to_string(), fault: other.to_string() },
                });
            faults.extend(added.err());
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
}

impl Platform {
    /// The platform of that name in the binary.
    #[must_use]
    pub fn embedded(name: &str) -> Option<Arc<Self>> {
        EMBEDDED.get(name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::{ClaimKind, UnknownMembers};
    use rstest::rstest;
    use serde_json::Value;

    #[test]
    fn every_file_parses_bears_its_own_name_and_fits_its_own_examples() {
        for (name, yaml) in FILES {
            let platform = Platform::parse(yaml).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(platform.name(), name);
            assert!(!platform.examples().is_empty(), "{name} has no example");
            for example in platform.examples() {
                let findings = platform.schema().check(&example.claims);
                let texts: Vec<_> = findings.iter().map(ToString::to_string).collect();
                assert!(findings.is_empty(), "{name}, {}: {texts:?}", example.name);
                if let Some(Value::String(issuer)) = example.claims.get("iss") {
                    assert!(platform.recognises(issuer), "{name}, {}: {issuer}", example.name);
                }
                for claim in platform.required_claims() {
                    assert!(claim.find(&example.claims).is_some(), "{name}, {}: {claim}", example.name);
                }
                for refused in platform.refused_claims() {
                    assert!(!refused.claim.is_in(&example.claims), "{name}, {}: {}", example.name, refused.claim);
                }
            }
            assert!(platform.usual_lifetime() <= platform.longest_lifetime(), "{name}");
        }
    }

    #[test]
    fn every_claim_says_what_it_is_and_every_recyclable_name_says_its_id_or_why_not() {
        for platform in Platforms::embedded().iter() {
            for (name, claim) in platform.schema().claims() {
                assert!(!claim.doc().is_empty(), "{}: {name} has no text", platform.name());
                let recyclable = claim.kind() == ClaimKind::RecyclableName;
                let explained = !claim.identified_by().is_empty() || claim.doc().contains("no id");
                assert!(!recyclable || explained, "{}: {name} has no `identified_by`", platform.name());
            }
        }
    }

    #[test]
    fn issuer_patterns_take_their_own_and_refuse_look_alikes() {
        let attacks = |issuer: &str| {
            [
                format!("https://evil.example/#{issuer}"),
                format!("https://evil.example/{issuer}"),
                format!("{issuer}\n"),
                format!(" {issuer}"),
                issuer.replacen("https://", "https://user@evil.example:443@", 1),
                issuer.replacen("https://", "http://localhost?", 1),
                issuer.replacen('.', "\u{3002}", 1),
            ]
        };
        for platform in Platforms::embedded().iter() {
            for issuer in platform.example_issuers().chain(platform.default_issuer()) {
                assert!(platform.recognises(issuer), "{}: {issuer}", platform.name());
                for attack in attacks(issuer).into_iter().filter(|attack| attack != issuer) {
                    assert!(!platform.recognises(&attack), "{}: {attack}", platform.name());
                }
            }
            for foreign in platform.foreign_issuers() {
                assert!(!platform.recognises(foreign), "{}: {foreign}", platform.name());
            }
        }
    }

    #[rstest]
    #[case("https://oidc.eks.us-west-2.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE", "eks")]
    #[case("https://container.googleapis.com/v1/projects/my-proj/locations/us-central1-c/clusters/prod", "gke")]
    #[case("https://token.actions.githubusercontent.com", "github")]
    fn an_issuer_is_recognised_as_its_platforms(#[case] issuer: &str, #[case] platform: &str) {
        let platforms = Platforms::embedded();
        assert!(platforms.recognise(issuer).any(|known| known.name() == platform));
    }

    #[rstest]
    #[case("kubernetes")]
    #[case("gke")]
    #[case("eks")]
    #[case("aks")]
    fn service_account_tokens_have_closed_members_and_no_warnafter(#[case] name: &str) {
        let platform = Platform::embedded(name).unwrap();
        let claim = platform.schema().claim("kubernetes.io").unwrap();
        assert_eq!(claim.members().unwrap().unknown_members(), UnknownMembers::Refused);
        assert!(platform.refused_claims().iter().any(|one| one.claim.names().last() == Some("warnafter")));
    }

    #[test]
    fn an_operator_adds_platforms_but_never_changes_one() {
        let directory = tempfile::tempdir().unwrap();
        let own = FILES.iter().find(|(name, _)| *name == "generic").unwrap().1.replace("name: generic", "name: own");
        std::fs::write(directory.path().join("own.yaml"), own).unwrap();
        std::fs::write(directory.path().join("github.yaml"), FILES[7].1).unwrap();
        std::fs::write(directory.path().join("typo.yaml"), FILES[7].1.replace("replay:", "replya:")).unwrap();
        let mut platforms = Platforms::embedded();
        let faults = platforms.add_directory(directory.path()).unwrap_err();
        let texts: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(texts[0].contains("github.yaml") && texts[0].contains("already a platform `github`"), "{texts:?}");
        assert!(texts[1].contains("typo.yaml") && texts[1].contains("replya"), "{texts:?}");
        assert!(platforms.find("own").is_some());
    }
}
