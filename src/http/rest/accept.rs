//! In which form a value is told (RFC 9110 section 12.5.1).

use axum::http::{HeaderMap, header};

/// A form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// With its version, as JSON.
    Json,
    /// The text itself.
    Text,
    /// The same, as bytes.
    Bytes,
}

impl Form {
    /// In the order of preference.
    const ALL: [Self; 3] = [Self::Json, Self::Text, Self::Bytes];

    /// What is said in `Content-Type`.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Text => "text/plain; charset=utf-8",
            Self::Bytes => "application/octet-stream",
        }
    }

    fn essence(self) -> (&'static str, &'static str) {
        match self {
            Self::Json => ("application", "json"),
            Self::Text => ("text", "plain"),
            Self::Bytes => ("application", "octet-stream"),
        }
    }

    /// The form that the caller likes best; none where it takes none of them.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let lines: Vec<&str> =
            headers.get_all(header::ACCEPT).iter().map(|value| value.to_str().unwrap_or_default()).collect();
        if lines.iter().all(|line| line.trim().is_empty()) {
            return Some(Self::Json);
        }
        let ranges: Vec<Range<'_>> = lines.iter().flat_map(|line| line.split(',')).filter_map(Range::read).collect();
        let mut best: Option<(Self, u16)> = None;
        for form in Self::ALL {
            // The most specific range decides about a type, not the most generous.
            let range = ranges.iter().filter(|range| range.covers(form)).max_by_key(|range| range.precision());
            let quality = range.map_or(0, |range| range.quality);
            if quality > best.map_or(0, |(_, best)| best) {
                best = Some((form, quality));
            }
        }
        best.map(|(form, _)| form)
    }
}

/// One member of `Accept`.
struct Range<'a> {
    main: &'a str,
    sub: &'a str,
    /// In thousandths.
    quality: u16,
}

impl<'a> Range<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (main, sub) = parts.next()?.split_once('/')?;
        let mut quality = 1000;
        for parameter in parts {
            let Some((name, value)) = parameter.split_once('=') else { continue };
            if name.trim().eq_ignore_ascii_case("q") {
                quality = thousandths(value.trim())?;
            }
        }
        Some(Self { main, sub, quality })
    }

    fn covers(&self, form: Form) -> bool {
        let (main, sub) = form.essence();
        let fits = |range: &str, known: &str| range == "*" || range.eq_ignore_ascii_case(known);
        fits(self.main, main) && fits(self.sub, sub)
    }

    fn precision(&self) -> u8 {
        u8::from(self.main != "*") + u8::from(self.sub != "*")
    }
}

/// `0.5` is 500 (RFC 9110 section 12.4.2).
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use rstest::rstest;

    #[rstest]
    #[case(None, Some(Form::Json))]
    #[case(Some(""), Some(Form::Json))]
    #[case(Some("*/*"), Some(Form::Json))]
    #[case(Some("application/json"), Some(Form::Json))]
    #[case(Some("text/plain"), Some(Form::Text))]
    #[case(Some("TEXT/PLAIN; charset=utf-8"), Some(Form::Text))]
    #[case(Some("application/octet-stream"), Some(Form::Bytes))]
    #[case(Some("application/*"), Some(Form::Json))]
    #[case(Some("text/*"), Some(Form::Text))]
    #[case(Some("text/plain, */*;q=0.1"), Some(Form::Text))]
    #[case(Some("application/json;q=0.5, text/plain;q=0.7"), Some(Form::Text))]
    #[case(Some("*/*, application/json;q=0"), Some(Form::Text))]
    #[case(Some("text/html,application/xhtml+xml,*/*;q=0.8"), Some(Form::Json))]
    #[case(Some("text/html"), None)]
    #[case(Some("text/plain;q=0"), None)]
    #[case(Some("text/plain;q=2"), None)]
    #[case(Some("nonsense"), None)]
    fn a_value_is_told_in_the_form_that_the_caller_likes_best(
        #[case] accept: Option<&'static str>,
        #[case] form: Option<Form>,
    ) {
        let mut headers = HeaderMap::new();
        headers.extend(accept.map(|accept| (header::ACCEPT, HeaderValue::from_static(accept))));
        assert_eq!(Form::of(&headers), form);
    }
}
