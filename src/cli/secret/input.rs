//! The value to write, from what a command line names. Decides what is text enough to be stored; quotes none of it.

use std::fs::File;
use std::io::{self, Read};

use zeroize::Zeroizing;

use crate::cli::CliError;
use crate::secrets::{BadData, MAX_DATA_BYTES, SecretData};

/// A name and its value.
type Field = (String, Zeroizing<String>);

/// The JSON object that `fields` make. Standard input may be named once, unless it is `taken`.
pub(super) fn read(fields: &[String], taken: bool) -> Result<Zeroizing<String>, CliError> {
    let mut input = Input { taken };
    let json = match fields {
        [whole] if whole == "-" => input.standard("-")?,
        [whole] if whole.starts_with('@') => file(whole.trim_start_matches('@'))?,
        _ => {
            let mut read = Vec::with_capacity(fields.len());
            for text in fields {
                read.push(field(text, &mut input)?);
            }
            object(&read)?
        }
    };
    let bytes = Zeroizing::new(json.as_bytes().to_vec());
    match SecretData::new(bytes) {
        Ok(_) => Ok(json),
        Err(BadData::TooLarge) => Err(CliError::new("a secret has at most 1 MiB, all its fields together")),
        Err(BadData::NotAnObject) => Err(CliError::new(
            "the whole value of a secret is a JSON object; one text from a file or standard input needs a name: `name=@FILE`, \
             `name=-`",
        )),
    }
}

struct Input {
    /// Whether somebody reads standard input already.
    taken: bool,
}

impl Input {
    fn standard(&mut self, name: &str) -> Result<Zeroizing<String>, CliError> {
        if std::mem::replace(&mut self.taken, true) {
            return Err(CliError::new(format!(
                "`{name}`: standard input can be read once only; give the rest by files"
            )));
        }
        text(io::stdin().lock(), "standard input")
    }
}

fn field(argument: &str, input: &mut Input) -> Result<Field, CliError> {
    // Quoted nowhere: what is no field may be a value.
    let odd = || {
        CliError::new("a field is `name=@FILE`, `name=-` or `name=value`; `@FILE` and `-` alone are the whole value")
    };
    let (name, value) = argument.split_once('=').ok_or_else(odd)?;
    if name.is_empty() || name.starts_with('@') || name.chars().any(char::is_control) {
        return Err(odd());
    }
    let value = match value {
        "-" => input.standard(&format!("{name}=-"))?,
        value => match (value.strip_prefix('@'), value.strip_prefix("\\@")) {
            (Some(path), _) => file(path)?,
            (None, Some(literal)) => Zeroizing::new(format!("@{literal}")),
            (None, None) => Zeroizing::new(value.to_owned()),
        },
    };
    if value.strip_suffix('\n').is_some_and(|line| !line.is_empty() && !line.contains('\n')) {
        eprintln!("cambio: note: the value of `{name}` ends with a newline, which is stored with it");
    }
    Ok((name.to_owned(), value))
}

fn file(path: &str) -> Result<Zeroizing<String>, CliError> {
    let unreadable = |error: io::Error| CliError::new(format!("cannot read `{path}`: {error}"));
    text(File::open(path).map_err(unreadable)?, &format!("`{path}`"))
}

fn text(from: impl Read, name: &str) -> Result<Zeroizing<String>, CliError> {
    // Room for everything at once: a vector that grows would leave unzeroed copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_DATA_BYTES + 1));
    let read = from.take(MAX_DATA_BYTES as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| CliError::new(format!("cannot read {name}: {error}")))?;
    if bytes.len() > MAX_DATA_BYTES {
        return Err(CliError::new(format!("{name} is larger than 1 MiB, which is the most that a secret has")));
    }
    let text = std::str::from_utf8(&bytes);
    let text = text.map_err(|_| CliError::new(format!("{name} is not text (UTF-8); store it by `base64`")))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn object(fields: &[Field]) -> Result<Zeroizing<String>, CliError> {
    // JSON makes six bytes of one at most.
    let room = fields.iter().map(|(name, value)| 6 * (name.len() + value.len()) + 6).sum::<usize>() + 2;
    let mut json = Zeroizing::new(Vec::with_capacity(room));
    for (index, (name, value)) in fields.iter().enumerate() {
        if fields.iter().take(index).any(|(other, _)| other == name) {
            return Err(CliError::new(format!("the field `{name}` is given twice")));
        }
        json.push(if index == 0 { b'{' } else { b',' });
        serde_json::to_writer(&mut *json, name).map_err(CliError::new)?;
        json.push(b':');
        serde_json::to_writer(&mut *json, value.as_str()).map_err(CliError::new)?;
    }
    json.push(b'}');
    String::from_utf8(std::mem::take(&mut *json)).map(Zeroizing::new).map_err(|_| CliError::new("not text"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn of(fields: &[&str]) -> Result<String, String> {
        let fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
        read(&fields, true).map(|json| json.to_string()).map_err(|error| error.to_string())
    }

    #[rstest]
    #[case(&["password=a=b"], r#"{"password":"a=b"}"#)]
    #[case(&["b=\"quoted\"\n", "a="], r#"{"b":"\"quoted\"\n","a":""}"#)]
    #[case(&["handle=\\@me"], r#"{"handle":"@me"}"#)]
    fn fields_make_an_object(#[case] fields: &[&str], #[case] json: &str) {
        assert_eq!(of(fields).as_deref(), Ok(json));
    }

    #[test]
    fn a_file_is_a_field_or_the_whole_value() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str, content: &[u8]| {
            std::fs::write(home.path().join(name), content).unwrap();
            home.path().join(name).to_str().unwrap().to_owned()
        };
        let (text, json) = (path("text", b"hunter2\nline"), path("value.json", br#"{"n": 1.0}"#));
        assert_eq!(of(&[&format!("password=@{text}")]).as_deref(), Ok(r#"{"password":"hunter2\nline"}"#));
        assert_eq!(of(&[&format!("@{json}")]).as_deref(), Ok(r#"{"n": 1.0}"#));
        let binary = path("binary", b"\xff\xfe");
        assert!(of(&[&format!("key=@{binary}")]).unwrap_err().contains("base64"));
        let large = path("large", &vec![b'x'; MAX_DATA_BYTES]);
        assert!(of(&[&format!("key=@{large}")]).unwrap_err().contains("1 MiB"));
        let no_object = of(&[&format!("@{text}")]).unwrap_err();
        assert!(no_object.contains("JSON object") && !no_object.contains("hunter2"), "{no_object}");
    }

    #[rstest]
    #[case(&["hunter2"], "a field is")]
    #[case(&["=hunter2"], "a field is")]
    #[case(&["@a.json", "hunter2"], "a field is")]
    #[case(&["a=1", "a=hunter2"], "given twice")]
    #[case(&["a=@/nowhere"], "/nowhere")]
    #[case(&["a=-"], "once only")]
    #[case(&["-"], "once only")]
    fn what_is_no_field_is_told_and_not_quoted(#[case] fields: &[&str], #[case] said: &str) {
        let error = of(fields).unwrap_err();
        assert!(error.contains(said) && !error.contains("hunter2"), "{error}");
    }
}
