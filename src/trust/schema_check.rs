//! Claims against a platform's schema: what `token inspect` shows. Decides how they differ; refuses to refuse a token.

use std::fmt;

use serde_json::{Map, Value};

use super::claim::{Claim, Presence};
use super::claim_path::ClaimPath;
use super::claim_type::{ClaimType, name_of};
use super::schema::{ClaimSchema, UnknownMembers};

/// How many findings one check reports at most.
const MAX_FINDINGS: usize = 100;

/// One way in which claims differ from the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaFinding {
    /// Where.
    pub path: ClaimPath,
    /// How.
    pub problem: SchemaProblem,
}

/// How a claim differs from the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaProblem {
    /// The platform documents no such claim.
    Unknown {
        /// The name that may have been meant.
        meant: Option<Box<str>>,
        /// Whether a token with such a member is refused.
        refused: bool,
    },
    /// Another type than documented; `null` where the claim is not nullable.
    WrongType {
        /// As documented.
        expected: ClaimType,
        /// As it came.
        found: &'static str,
    },
    /// A claim that every token of the platform has is not there.
    Missing,
    /// A value outside the documented ones.
    UnusualValue,
}

impl fmt::Display for SchemaFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.problem {
            SchemaProblem::Unknown { meant, refused } => {
                write!(f, "`{path}` is not a claim of this platform")?;
                if let Some(meant) = meant {
                    write!(f, ", did you mean `{meant}`?")?;
                }
                if *refused { f.write_str("; a token with it is refused") } else { Ok(()) }
            }
            SchemaProblem::WrongType { expected, found } => write!(f, "`{path}` is a {found}, not a {expected}"),
            SchemaProblem::Missing => write!(f, "`{path}` is missing"),
            SchemaProblem::UnusualValue => write!(f, "`{path}` has a value that the platform does not document"),
        }
    }
}

impl ClaimSchema {
    /// Compares claims with the schema. Never quotes a value; a name that is not documented is quoted as it came.
    #[must_use]
    pub fn check(&self, claims: &Map<String, Value>) -> Vec<SchemaFinding> {
        let mut findings = Vec::new();
        self.check_into(claims, None, &mut findings);
        findings.truncate(MAX_FINDINGS);
        findings
    }

    fn check_into(&self, claims: &Map<String, Value>, at: Option<&ClaimPath>, findings: &mut Vec<SchemaFinding>) {
        let path = |name: &str| at.map_or_else(|| ClaimPath::top(name), |at| at.child(name));
        for (name, value) in claims {
            match self.claim(name) {
                Some(claim) => claim.check_into(value, &path(name), findings),
                None if self.unknown_members() == UnknownMembers::Allowed => {}
                None => findings.push(SchemaFinding {
                    path: path(name),
                    problem: SchemaProblem::Unknown {
                        meant: self.nearest(name).map(Box::from),
                        refused: self.unknown_members() == UnknownMembers::Refused,
                    },
                }),
            }
        }
        for (name, claim) in self.claims() {
            if claim.presence() == Presence::Required && !claims.contains_key(name) {
                findings.push(SchemaFinding { path: path(name), problem: SchemaProblem::Missing });
            }
        }
    }
}

impl Claim {
    fn check_into(&self, value: &Value, path: &ClaimPath, findings: &mut Vec<SchemaFinding>) {
        if value.is_null() && self.is_nullable() {
            return;
        }
        if !self.ty().admits(value) {
            let problem = SchemaProblem::WrongType { expected: self.ty().clone(), found: name_of(value) };
            return findings.push(SchemaFinding { path: path.clone(), problem });
        }
        if let (Value::String(text), false) = (value, self.values().is_empty())
            && !self.values().iter().any(|known| **known == **text)
        {
            findings.push(SchemaFinding { path: path.clone(), problem: SchemaProblem::UnusualValue });
        }
        let Some(members) = self.members() else { return };
        match value {
            Value::Object(map) => members.check_into(map, Some(path), findings),
            Value::Array(elements) => {
                for map in elements.iter().filter_map(Value::as_object) {
                    members.check_into(map, Some(path), findings);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Platforms;
    use rstest::rstest;
    use serde_json::json;

    fn changed(platform: &str, change: impl FnOnce(&mut Map<String, Value>)) -> Vec<String> {
        let platforms = Platforms::embedded();
        let platform = platforms.find(platform).unwrap();
        let mut claims = platform.examples()[0].claims.clone();
        change(&mut claims);
        platform.schema().check(&claims).iter().map(ToString::to_string).collect()
    }

    #[rstest]
    #[case("project_pth", json!("a"), "`project_pth` is not a claim of this platform, did you mean `project_path`?")]
    #[case("ref-protected", json!("true"), "`[\"ref-protected\"]` is not a claim of this platform, did you mean `ref_protected`?")]
    #[case("zzz", json!("a"), "`zzz` is not a claim of this platform")]
    #[case("ref_protected", json!(true), "`ref_protected` is a bool, not a string")]
    #[case("ref_protected", json!("True"), "`ref_protected` has a value that the platform does not document")]
    #[case("runner_id", json!("1"), "`runner_id` is a string, not a int")]
    #[case("project_id", json!(null), "`project_id` is a null, not a string")]
    fn each_difference_is_one_finding(#[case] claim: &str, #[case] value: Value, #[case] finding: &str) {
        assert_eq!(changed("gitlab", |claims| drop(claims.insert(claim.to_owned(), value))), [finding]);
    }

    #[test]
    fn a_missing_claim_is_found_also_inside_another() {
        let findings = changed("kubernetes", |claims| {
            claims.remove("sub");
            claims["kubernetes.io"]["serviceaccount"].as_object_mut().unwrap().remove("uid");
        });
        assert_eq!(findings, ["`[\"kubernetes.io\"].serviceaccount.uid` is missing", "`sub` is missing"]);
    }

    #[test]
    fn an_unknown_member_of_a_closed_object_says_that_the_token_is_refused() {
        let findings = changed("kubernetes", |claims| claims["kubernetes.io"]["attestations"] = json!({}));
        assert_eq!(
            findings,
            ["`[\"kubernetes.io\"].attestations` is not a claim of this platform; a token with it is refused"]
        );
    }
}
