//! A role document and a mount's configuration as OpenBao's API takes and gives them.
//!
//! Decides the shape: JSON, each member once, no member that the API does not have. Refuses to know whether a program
//! compiles and whether an issuer is configured. Every text keeps its place in the file.

use std::ops::Range;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::policy::document::{AcceptDocument, CaseDocument, Place};

/// A value, and where it stands.
#[derive(Clone, Debug)]
pub(in crate::policy) struct Located<T> {
    pub(in crate::policy) value: T,
    pub(in crate::policy) place: Place,
}

impl Located<String> {
    /// Where a part of the text, by its bytes, stands in the file whose text is `file`.
    pub(in crate::policy) fn within(&self, file: &str, part: Range<usize>) -> Place {
        let start = self.place.offset as usize;
        let raw = file.get(start..start + self.place.len as usize).unwrap_or_default();
        let (from, to) = (raw_offset(raw, part.start), raw_offset(raw, part.end));
        at(file, start + from, to - from)
    }
}

/// Where the byte `offset` of a JSON string's value stands in its text.
fn raw_offset(raw: &str, offset: usize) -> usize {
    let mut value = 0;
    let mut chars = raw.char_indices().skip(1);
    while let Some((at, char)) = chars.next() {
        if value >= offset {
            return at;
        }
        value += match (char, chars.clone().next()) {
            ('\\', Some((_, 'u'))) => {
                let code =
                    raw.get(at + 2..at + 6).and_then(|hex| u32::from_str_radix(hex, 16).ok()).unwrap_or_default();
                chars.nth(4);
                // Each half of a surrogate pair is half of a character of four bytes.
                char::from_u32(code).map_or(2, char::len_utf8)
            }
            ('\\', Some(_)) => {
                chars.next();
                1
            }
            (char, _) => char.len_utf8(),
        };
    }
    raw.len().saturating_sub(1)
}

/// Why a document was refused: a sentence, and where.
pub(in crate::policy) type Misshapen = (String, Place);

/// `POST auth/<mount>/cel/role/<name>`.
#[derive(Debug)]
pub(in crate::policy) struct RoleDocument {
    pub(in crate::policy) variables: Vec<(Located<String>, Located<String>)>,
    pub(in crate::policy) expression: Located<String>,
    /// As the API answers it.
    pub(in crate::policy) name: Option<Located<String>>,
    /// Stored by OpenBao, and never said to anybody.
    pub(in crate::policy) message: Option<Located<String>>,
    /// Any of them has to be among the token's audiences; none asks for nothing.
    pub(in crate::policy) bound_audiences: Vec<String>,
}

/// `POST auth/<mount>/config`.
#[derive(Debug)]
pub(in crate::policy) struct ConfigDocument {
    /// The exact `iss`, where OpenBao compares it.
    pub(in crate::policy) bound_issuer: Option<String>,
    /// Where OpenBao finds the keys; then also the `iss`.
    pub(in crate::policy) discovery: Option<String>,
    /// The role of a login that names none.
    pub(in crate::policy) default_role: Option<String>,
}

/// The cases of a role, and the warnings that its author means to have.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::policy) struct CasesDocument {
    #[serde(default)]
    pub(in crate::policy) cases: Vec<CaseDocument>,
    #[serde(default)]
    pub(in crate::policy) accept: Vec<AcceptDocument>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleShape<'a> {
    #[serde(borrow)]
    cel_program: &'a RawValue,
    #[serde(default, borrow)]
    name: Option<&'a RawValue>,
    #[serde(default, borrow)]
    message: Option<&'a RawValue>,
    #[serde(default, borrow)]
    bound_audiences: Option<&'a RawValue>,
    #[serde(default, borrow)]
    expiration_leeway: Option<&'a RawValue>,
    #[serde(default, borrow)]
    not_before_leeway: Option<&'a RawValue>,
    #[serde(default, borrow)]
    clock_skew_leeway: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProgramShape<'a> {
    #[serde(default, borrow)]
    variables: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    expression: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VariableShape<'a> {
    #[serde(borrow)]
    name: &'a RawValue,
    #[serde(borrow)]
    expression: &'a RawValue,
}

/// What cambio takes from its own configuration, or has no use for, is read past.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the members that may be there")]
struct ConfigShape {
    #[serde(default)]
    bound_issuer: Option<String>,
    #[serde(default)]
    oidc_discovery_url: Option<String>,
    #[serde(default)]
    default_role: Option<String>,
    #[serde(default)]
    oidc_discovery_ca_pem: IgnoredAny,
    #[serde(default)]
    oidc_client_id: IgnoredAny,
    #[serde(default)]
    oidc_response_mode: IgnoredAny,
    #[serde(default)]
    oidc_response_types: IgnoredAny,
    #[serde(default)]
    jwks_url: IgnoredAny,
    #[serde(default)]
    jwks_ca_pem: IgnoredAny,
    #[serde(default)]
    jwt_validation_pubkeys: IgnoredAny,
    #[serde(default)]
    jwt_supported_algs: IgnoredAny,
    #[serde(default)]
    provider_config: IgnoredAny,
    #[serde(default)]
    override_allowed_server_names: IgnoredAny,
    #[serde(default)]
    namespace_in_state: IgnoredAny,
    #[serde(default)]
    skip_jwks_validation: IgnoredAny,
    #[serde(default)]
    status: IgnoredAny,
}

impl RoleDocument {
    /// Reads a role's text.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub(in crate::policy) fn parse(text: &str) -> Result<Self, Misshapen> {
        let shape: RoleShape<'_> = read(text, text)?;
        let program: ProgramShape<'_> = read(text, shape.cel_program.get())?;
        let mut variables = vec![];
        for variable in program.variables.unwrap_or_default() {
            let variable: VariableShape<'_> = read(text, variable.get())?;
            variables.push((located(text, variable.name)?, located(text, variable.expression)?));
        }
        for leeway in [shape.expiration_leeway, shape.not_before_leeway, shape.clock_skew_leeway].into_iter().flatten()
        {
            let Seconds = read(text, leeway.get())?;
        }
        let audiences: Option<Texts> = shape.bound_audiences.map(|raw| read(text, raw.get())).transpose()?;
        Ok(Self {
            variables,
            expression: located(text, program.expression)?,
            name: shape.name.map(|raw| located(text, raw)).transpose()?,
            message: shape.message.map(|raw| located(text, raw)).transpose()?,
            bound_audiences: audiences.map(|texts| texts.0).unwrap_or_default(),
        })
    }
}

impl ConfigDocument {
    /// Reads a configuration's text.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub(in crate::policy) fn parse(text: &str) -> Result<Self, Misshapen> {
        let shape: ConfigShape = read(text, text)?;
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(Self {
            bound_issuer: some(shape.bound_issuer),
            discovery: some(shape.oidc_discovery_url),
            default_role: some(shape.default_role).map(|role| role.to_ascii_lowercase()),
        })
    }

    /// The `iss` of the mount's tokens. OpenBao compares it with `bound_issuer`, and without that with the issuer that
    /// discovery names, which has to be the URL itself.
    pub(in crate::policy) fn issuer(&self) -> Option<&str> {
        self.bound_issuer.as_deref().or(self.discovery.as_deref())
    }
}

/// A list of texts, or one text with commas.
struct Texts(Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a list of texts, or one text with commas")]
        enum Shape {
            List(Vec<String>),
            Text(String),
            Null(()),
        }
        Ok(Self(match Shape::deserialize(deserializer)? {
            Shape::List(list) => list,
            Shape::Text(text) => {
                text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
            }
            Shape::Null(()) => vec![],
        }))
    }
}

/// A leeway. Read for its shape: cambio verifies times with its own.
struct Seconds;

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a number of seconds, or a text such as `150s`")]
        #[allow(dead_code, reason = "read for its shape")]
        enum Shape {
            Number(i64),
            Text(String),
        }
        match Shape::deserialize(deserializer)? {
            Shape::Number(_) => Ok(Self),
            Shape::Text(text) => {
                let number = text.strip_prefix('-').unwrap_or(&text).trim_end_matches(['s', 'm', 'h']);
                let fine = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
                if fine { Ok(Self) } else { Err(serde::de::Error::custom("not a number of seconds")) }
            }
        }
    }
}

/// Reads `part`, which stands in `text`.
fn read<'a, T: Deserialize<'a>>(text: &str, part: &'a str) -> Result<T, Misshapen> {
    serde_json::from_str(part).map_err(|error| {
        let message = error.to_string();
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message).to_owned();
        // serde_json counts columns in bytes.
        let line_start = part.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
        let within = line_start.saturating_add(error.column().saturating_sub(1)).min(part.len());
        (message, at(text, offset(text, part).saturating_add(within), 1))
    })
}

fn located(text: &str, raw: &RawValue) -> Result<Located<String>, Misshapen> {
    let place = at(text, offset(text, raw.get()), raw.get().len());
    let value = serde_json::from_str(raw.get()).map_err(|_| ("not a text".to_owned(), place))?;
    Ok(Located { value, place })
}

/// Where `part`, a slice of `text`, begins.
fn offset(text: &str, part: &str) -> usize {
    part.as_ptr().addr().saturating_sub(text.as_ptr().addr())
}

fn at(text: &str, offset: usize, len: usize) -> Place {
    let before = text.get(..offset).unwrap_or_default();
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let line = before.rsplit('\n').next().unwrap_or_default();
    Place {
        line: small(before.matches('\n').count() + 1),
        column: small(line.chars().count() + 1),
        offset: small(offset),
        len: small(len),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const ROLE: &str = r#"{
  "name": "r",
  "cel_program": {
    "variables": [{"name": "sub", "expression": "claims.sub"}],
    "expression": "sub == 'é' ? pb.Auth{} : false"
  },
  "message": "m", "expiration_leeway": 150, "not_before_leeway": "150s", "clock_skew_leeway": -1,
  "bound_audiences": ["a", "b"]
}"#;

    #[test]
    fn a_role_reads_with_its_places() {
        let role = RoleDocument::parse(ROLE).unwrap();
        assert_eq!(role.expression.value, "sub == 'é' ? pb.Auth{} : false");
        let place = role.expression.place;
        assert_eq!((place.line, place.column), (5, 19));
        assert!(ROLE[place.offset as usize..][..place.len as usize].starts_with("\"sub =="));
        assert_eq!(role.variables.len(), 1);
        assert_eq!(role.bound_audiences, ["a", "b"]);
    }

    #[rstest]
    #[case(r#"{"cel_program": {"expression": "claims.sub == 'a' ? x : y"}}"#, "claims.sub == 'a'")]
    #[case(
        r#"{"cel_program": {"expression": "claims.sub == \"\u00e9\ud83d\ude00\" ? x : y"}}"#,
        r#"claims.sub == \"\u00e9\ud83d\ude00\""#
    )]
    fn a_part_of_an_expression_has_its_place(#[case] text: &str, #[case] expected: &str) {
        let role = RoleDocument::parse(text).unwrap();
        let end = role.expression.value.find(" ?").unwrap();
        let place = role.expression.within(text, 0..end);
        assert_eq!(&text[place.offset as usize..][..place.len as usize], expected);
    }

    #[test]
    fn only_the_expression_is_needed() {
        let role = RoleDocument::parse(r#"{"cel_program": {"expression": "false"}}"#).unwrap();
        assert!(role.variables.is_empty() && role.bound_audiences.is_empty());
    }

    #[rstest]
    #[case::one("\"a, b\"", &["a", "b"])]
    #[case::none("null", &[])]
    #[case::empty("\"\"", &[])]
    fn audiences_are_a_list_or_a_text_with_commas(#[case] written: &str, #[case] expected: &[&str]) {
        let text = format!(r#"{{"cel_program": {{"expression": "false"}}, "bound_audiences": {written}}}"#);
        assert_eq!(RoleDocument::parse(&text).unwrap().bound_audiences, expected);
    }

    #[rstest]
    #[case::no_json("{", "EOF while parsing an object")]
    #[case::more_after_it(r#"{"cel_program": {"expression": "false"}} x"#, "trailing characters")]
    #[case::no_program("{}", "missing field `cel_program`")]
    #[case::twice(
        r#"{"message": "a", "message": "b", "cel_program": {"expression": "x"}}"#,
        "duplicate field `message`"
    )]
    #[case::twice_within(r#"{"cel_program": {"expression": "x", "expression": "y"}}"#, "duplicate field `expression`")]
    #[case::a_field_of_native_roles(
        r#"{"cel_program": {"expression": "x"}, "token_ttl": 5}"#,
        "unknown field `token_ttl`"
    )]
    #[case::an_odd_program(r#"{"cel_program": {"expression": 5}}"#, "not a text")]
    #[case::an_odd_leeway(
        r#"{"cel_program": {"expression": "x"}, "clock_skew_leeway": "soon"}"#,
        "not a number of seconds"
    )]
    #[case::yaml("cel_program: {expression: x}", "expected value")]
    fn a_document_of_another_shape_is_refused(#[case] text: &str, #[case] expected: &str) {
        let (message, _) = RoleDocument::parse(text).unwrap_err();
        assert!(message.contains(expected), "{message}");
    }

    #[test]
    fn a_fault_has_its_place() {
        let (_, place) = RoleDocument::parse("{\n  \"cel_program\": {\"expression\": 1, \"x\": 2}}").unwrap_err();
        assert_eq!(place.line, 2);
    }

    #[test]
    fn a_configuration_names_its_issuer() {
        let text = r#"{"oidc_discovery_url": "https://g", "bound_issuer": "", "jwt_supported_algs": ["RS256"], "default_role": "All"}"#;
        let config = ConfigDocument::parse(text).unwrap();
        assert_eq!((config.issuer(), config.default_role.as_deref()), (Some("https://g"), Some("all")));
        assert!(ConfigDocument::parse(r#"{"jwks_pairs": []}"#).unwrap_err().0.contains("unknown field `jwks_pairs`"));
    }
}
