//! A text with references in double braces. Decides where a value goes; refuses braces that hold anything else, so that no
//! file is made that only looks complete.

use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::secrets::reference::Reference;

/// A template, read.
#[derive(Debug)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value { reference: Reference, json: bool },
}

/// What is wrong with a template, and in which line. Quotes nothing: a value may stand there by mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateFault {
    #[error("line {0}: `{{{{` without `}}}}`; two braces as they are: `{{{{ \"{{{{\" }}}}`")]
    Open(usize),
    #[error("line {0}: in double braces stands a reference alone, such as k8s://namespace/secret/key; {1}")]
    NoReference(usize, crate::secrets::reference::ReferenceError),
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, TemplateFault> {
        let mut pieces = Vec::new();
        let (mut rest, mut line) = (text, 1);
        while let Some((before, after)) = rest.split_once("{{") {
            line += before.matches('\n').count();
            pieces.push(Piece::Text(before.to_owned()));
            if let Some(after) = literal(after) {
                pieces.push(Piece::Text("{{".to_owned()));
                rest = after;
                continue;
            }
            let (inside, after) = after.split_once("}}").ok_or(TemplateFault::Open(line))?;
            let (reference, json) = match inside.split_once('|') {
                Some((reference, filter)) if filter.trim() == "json" => (reference, true),
                _ => (inside, false),
            };
            let reference =
                Reference::parse(reference.trim()).map_err(|error| TemplateFault::NoReference(line, error))?;
            pieces.push(Piece::Value { reference, json });
            line += inside.matches('\n').count();
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    /// The references, in their order.
    pub(super) fn references(&self) -> impl Iterator<Item = &Reference> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Value { reference, .. } => Some(reference),
            Piece::Text(_) => None,
        })
    }

    /// The text with `values` in the order of the references. What is in a value is not looked at again.
    pub(super) fn render(&self, values: &[Zeroizing<String>]) -> Zeroizing<String> {
        let mut values = values.iter();
        let mut parts = Vec::with_capacity(self.0.len());
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => parts.push(Zeroizing::new(text.clone())),
                Piece::Value { json, .. } => {
                    let Some(value) = values.next() else { continue };
                    let quoted = || Zeroizing::new(serde_json::to_string(value.as_str()).unwrap_or_default());
                    parts.push(if *json { quoted() } else { value.clone() });
                }
            }
        }
        // Room for everything at once: a text that grows would leave unzeroed copies behind.
        let mut text = Zeroizing::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
        parts.iter().for_each(|part| text.push_str(part));
        text
    }
}

/// What follows ` "{{" }}`, if that is what stands here.
fn literal(after: &str) -> Option<&str> {
    after.trim_start_matches(' ').strip_prefix("\"{{\"")?.trim_start_matches(' ').strip_prefix("}}")
}

/// `IN:OUT`.
pub(super) fn pair(text: &str) -> Result<(PathBuf, PathBuf), String> {
    match text.split_once(':') {
        Some((from, out)) if !from.is_empty() && !out.is_empty() => Ok((PathBuf::from(from), PathBuf::from(out))),
        _ => Err("a template is `IN:OUT`, two files".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn rendered(text: &str, values: &[&str]) -> Result<String, TemplateFault> {
        let values: Vec<_> = values.iter().map(|value| Zeroizing::new((*value).to_owned())).collect();
        Template::parse(text).map(|template| template.render(&values).to_string())
    }

    #[rstest]
    #[case("", &[], "")]
    #[case("a { b } }}", &[], "a { b } }}")]
    #[case("p={{ k8s://team-a/db/password }}\nq={{bao://secret/db#/key}}\n", &["one", "two"], "p=one\nq=two\n")]
    #[case("{\"p\": {{ k8s://a/b/c | json }}}", &["it\"s\n"], "{\"p\": \"it\\\"s\\n\"}")]
    #[case("{{ \"{{\" }} .Values }} {{\"{{\"}}", &[], "{{ .Values }} {{")]
    #[case("{{ k8s://a/b/c }}", &["{{ k8s://a/b/d }}"], "{{ k8s://a/b/d }}")]
    fn a_value_stands_where_its_reference_stood(#[case] text: &str, #[case] values: &[&str], #[case] expected: &str) {
        assert_eq!(rendered(text, values).as_deref(), Ok(expected));
    }

    #[rstest]
    #[case("a\n{{ k8s://a/b/c", 2)]
    #[case("{{ hunter2 }}", 1)]
    #[case("\n\n{{ .Values.password }}", 3)]
    #[case("{{ k8s://a/b/c | base64 }}", 1)]
    #[case("{{ k8s://a/b/c k8s://a/b/d }}", 1)]
    #[case("{{ 'k8s://a/b/c' }}", 1)]
    #[case("{{ k8s://a/b/c }} {{}}", 1)]
    #[case("{{{ k8s://a/b/c }}}", 1)]
    fn anything_else_in_braces_is_told_with_its_line_and_not_quoted(#[case] text: &str, #[case] line: usize) {
        let fault = rendered(text, &[]).unwrap_err().to_string();
        assert!(fault.starts_with(&format!("line {line}: ")) && !fault.contains("hunter2"), "{fault}");
    }

    #[test]
    fn a_pair_is_two_files() {
        assert_eq!(pair("/a:/b"), Ok((PathBuf::from("/a"), PathBuf::from("/b"))));
        assert!(["/a", ":/b", "/a:", ""].iter().all(|text| pair(text).is_err()));
    }

    proptest! {
        #[test]
        fn text_without_braces_stays_as_it_is(text in "[^{]{0,80}") {
            prop_assert_eq!(rendered(&text, &[]), Ok(text));
        }

        #[test]
        fn any_text_is_a_template_or_a_fault(text in r#"[{}"| a\n]{0,20}(\{\{ ?k8s://a/b/c ?(\| json)? ?\}\})?[{}" ]{0,6}"#) {
            if let Ok(template) = Template::parse(&text) {
                let values: Vec<_> = template.references().map(|_| Zeroizing::new("v".to_owned())).collect();
                prop_assert!(template.render(&values).len() <= text.len());
            }
        }
    }
}
