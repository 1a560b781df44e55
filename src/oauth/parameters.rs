//! Request parameters, from a form or from a JSON object: bounded, none repeated that must not be.

use std::borrow::Cow;

use zeroize::Zeroize as _;

/// The parameters that may occur more than once (RFC 8693 section 2.1, RFC 8707 section 2).
const REPEATABLE: [&str; 2] = ["audience", "resource"];
/// How many parameters a request has at most.
const MAX_PARAMETERS: usize = 64;

/// Parameters of one request, values zeroed when dropped: one of them is a token.
#[derive(Default)]
pub struct Parameters<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

/// Why parameters were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// The same parameter twice (RFC 6749 section 3.2).
    #[error("a parameter is repeated")]
    Repeated,
    /// More than 64.
    #[error("there are more than 64 parameters")]
    TooMany,
    /// A JSON body that is not one object of strings (or, for `audience` and `resource`, lists of strings).
    #[error("the body is not a JSON object of strings")]
    Json,
}

impl<'a> Parameters<'a> {
    /// Reads `application/x-www-form-urlencoded`. A parameter without a value counts as absent (RFC 6749 section 3.2).
    ///
    /// # Errors
    /// [`ParameterError`].
    pub fn from_form(body: &'a [u8]) -> Result<Self, ParameterError> {
        let mut parameters = Self::default();
        let Ok(text) = std::str::from_utf8(body) else {
            url::form_urlencoded::parse(body).try_for_each(|(name, value)| parameters.add(name, value))?;
            return Ok(parameters);
        };
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = decoded(pair);
            parameters.add(name, value)?;
        }
        Ok(parameters)
    }

    /// Reads a JSON object, as some clients send it against the RFC (External Secrets Operator's Pulumi generator).
    ///
    /// # Errors
    /// [`ParameterError`].
    pub fn from_json(body: serde_json::Map<String, serde_json::Value>) -> Result<Self, ParameterError> {
        use serde_json::Value;
        let mut parameters = Self::default();
        for (name, value) in body {
            match value {
                Value::String(text) => parameters.add(name.into(), text.into())?,
                Value::Number(number) => parameters.add(name.into(), number.to_string().into())?,
                Value::Null => {}
                Value::Array(items) if REPEATABLE.contains(&name.as_str()) => {
                    for item in items {
                        let Value::String(text) = item else { return Err(ParameterError::Json) };
                        parameters.add(name.clone().into(), text.into())?;
                    }
                }
                _ => return Err(ParameterError::Json),
            }
        }
        Ok(parameters)
    }

    fn add(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) -> Result<(), ParameterError> {
        if value.is_empty() {
            return Ok(());
        }
        if self.0.len() == MAX_PARAMETERS {
            return Err(ParameterError::TooMany);
        }
        if !REPEATABLE.contains(&name.as_ref()) && self.0.iter().any(|(known, _)| *known == name) {
            return Err(ParameterError::Repeated);
        }
        self.0.push((name, value));
        Ok(())
    }

    /// The value of a parameter that may occur once.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_ref())
    }

    /// All values of a parameter that may be repeated.
    pub fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_ref())
    }

    /// How many parameters are not among `known`. They are ignored (RFC 6749 section 3.2), and counted for the operator.
    #[must_use]
    pub fn unknown(&self, known: &[&str]) -> usize {
        self.0.iter().filter(|(name, _)| !known.contains(&name.as_ref())).count()
    }
}

/// Name and value of one pair. A token needs no decoding, and is not copied byte by byte to find that out.
fn decoded(pair: &str) -> (Cow<'_, str>, Cow<'_, str>) {
    if pair.contains('%') || pair.contains('+') {
        return url::form_urlencoded::parse(pair.as_bytes()).next().unwrap_or_default();
    }
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    (name.into(), value.into())
}

impl Drop for Parameters<'_> {
    fn drop(&mut self) {
        for (_, value) in &mut self.0 {
            if let Cow::Owned(text) = value {
                text.zeroize();
            }
        }
    }
}

impl std::fmt::Debug for Parameters<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Parameters([{} redacted])", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_repeated_parameter_is_refused_but_for_audience_and_resource() {
        let twice = |name: &str| format!("{name}=a&{name}=b");
        assert_eq!(Parameters::from_form(twice("grant_type").as_bytes()).unwrap_err(), ParameterError::Repeated);
        assert_eq!(Parameters::from_form(twice("subject_token").as_bytes()).unwrap_err(), ParameterError::Repeated);
        assert_eq!(Parameters::from_form(twice("made_up").as_bytes()).unwrap_err(), ParameterError::Repeated);
        let form = twice("audience");
        assert_eq!(Parameters::from_form(form.as_bytes()).unwrap().values("audience").count(), 2);
    }

    #[test]
    fn an_empty_value_counts_as_absent() {
        let parameters = Parameters::from_form(b"actor_token=&scope&grant_type=x").unwrap();
        assert_eq!(parameters.value("actor_token"), None);
        assert_eq!(parameters.value("scope"), None);
        assert_eq!(parameters.value("grant_type"), Some("x"));
        assert_eq!(parameters.unknown(&["scope"]), 1);
    }

    #[test]
    fn a_json_object_of_strings_reads_like_a_form() {
        let json = serde_json::json!({"grant_type": "x", "audience": ["a", "b"], "expiration": 600, "scope": null});
        let parameters = Parameters::from_json(json.as_object().unwrap().clone()).unwrap();
        assert_eq!(parameters.values("audience").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(parameters.value("expiration"), Some("600"));
        let nested = serde_json::json!({"grant_type": {"a": 1}});
        assert_eq!(Parameters::from_json(nested.as_object().unwrap().clone()).unwrap_err(), ParameterError::Json);
    }

    #[test]
    fn the_number_of_parameters_is_bounded_and_none_is_printed() {
        let many: Vec<_> = (0..65).map(|i| format!("p{i}=v")).collect();
        assert_eq!(Parameters::from_form(many.join("&").as_bytes()).unwrap_err(), ParameterError::TooMany);
        assert_eq!(format!("{:?}", Parameters::from_form(b"subject_token=s").unwrap()), "Parameters([1 redacted])");
    }

    proptest! {
        #[test]
        fn no_form_panics_and_all_read_as_the_library_reads_them(body in "[a-c=&+%20é]{0,60}") {
            let by_library: Vec<_> =
                url::form_urlencoded::parse(body.as_bytes()).filter(|(_, value)| !value.is_empty()).collect();
            if let Ok(parameters) = Parameters::from_form(body.as_bytes()) {
                prop_assert_eq!(&parameters.0, &by_library);
            }
        }

        #[test]
        fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Parameters::from_form(&body);
        }
    }
}
