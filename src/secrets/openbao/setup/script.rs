//! The same as a shell script, for whoever wants to read first and run it with a token of their own.

use std::fmt::Write as _;

use super::step::{Kind, Step};

/// The script of `steps`, for the OpenBao at `address`. It may be run again.
pub(super) fn of(steps: &[Step], address: &str) -> String {
    let mut text = format!(
        "#!/bin/sh\n# What OpenBao needs so that it takes cambio's tokens. May be run again.\n# Needs `bao`, and an operator's \
         token in BAO_TOKEN or from `bao login`. (`vault` takes the same words but for CEL roles.)\nset -eu\n: \
         \"${{BAO_ADDR:={}}}\"\nexport BAO_ADDR\n",
        for_default(address)
    );
    for step in steps {
        let _ = write!(text, "\n# {}\n", step.title());
        command(step, &mut text);
    }
    text
}

fn command(step: &Step, text: &mut String) {
    let namespace =
        if step.namespace.is_empty() { String::new() } else { format!(" -namespace={}", quoted(&step.namespace)) };
    let _ = match &step.kind {
        Kind::Namespace { name } => {
            let name = quoted(name);
            writeln!(
                text,
                "bao namespace lookup{namespace} {name} >/dev/null 2>&1 || bao namespace create{namespace} {name}"
            )
        }
        Kind::AuthMount { mount } => writeln!(
            text,
            "bao auth list{namespace} -format=json | grep -q {} \\\n  || bao auth enable{namespace} -path={} \
             -description='tokens of cambio' jwt",
            quoted(&format!("\"{mount}/\"")),
            quoted(mount)
        ),
        Kind::SecretsMount { mount, version } => writeln!(
            text,
            "bao secrets list{namespace} -format=json | grep -q {} \\\n  || bao secrets enable{namespace} -path={} \
             -version={version} kv",
            quoted(&format!("\"{mount}/\"")),
            quoted(mount)
        ),
        Kind::Policy { name } => {
            let policy = step.body.get("policy").and_then(serde_json::Value::as_str).unwrap_or_default();
            here(text, &format!("bao policy write{namespace} {} -", quoted(name)), policy)
        }
        Kind::Document { .. } => {
            let body = serde_json::to_string_pretty(&step.body).unwrap_or_default();
            here(text, &format!("bao write{namespace} {} -", quoted(&step.path)), &body)
        }
    };
}

/// A command with `content` as its input. No line of the content ends it.
fn here(text: &mut String, command: &str, content: &str) -> std::fmt::Result {
    let mut end = "END".to_owned();
    while content.lines().any(|line| line == end) {
        end.push('_');
    }
    writeln!(text, "{command} <<'{end}'\n{}\n{end}", content.trim_end_matches('\n'))
}

/// One word for a shell, whatever is in it.
fn quoted(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-./:=".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A word for `${NAME:=word}` between double quotes.
fn for_default(word: &str) -> String {
    word.chars().filter(|c| c.is_ascii_graphic() && !"\"$`\\}{".contains(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("team/a", "team/a")]
    #[case("", "''")]
    #[case("a b", "'a b'")]
    #[case("a'; rm -rf /; '", r"'a'\''; rm -rf /; '\'''")]
    #[case("$(x)", "'$(x)'")]
    fn a_word_is_one_word_for_the_shell(#[case] word: &str, #[case] expected: &str) {
        assert_eq!(quoted(word), expected);
    }

    #[test]
    fn no_policy_ends_its_own_input() {
        let step = Step::policy("", "p", "path \"a\" {}\nEND\nrm -rf /\nEND_\n");
        let script = of(&[step], "https://b");
        assert!(script.contains("<<'END__'\n") && script.ends_with("\nEND__\n"), "{script}");
    }

    /// The shell itself reads it: what is written is what arrives.
    #[test]
    fn a_shell_reads_the_script_as_it_is_meant() {
        let policy = "path \"a\" { capabilities = [\"read\"] } # `$(touch x)` 'y' \\\n";
        let script = of(&[Step::policy("n/s", "p", policy)], "http://127.0.0.1:8200");
        let home = tempfile::tempdir().unwrap();
        let script = script.replace("bao policy write", "cat; echo");
        let run = std::process::Command::new("sh").arg("-c").arg(&script).current_dir(home.path()).output().unwrap();
        assert!(run.status.success(), "{run:?}");
        assert_eq!(String::from_utf8(run.stdout).unwrap(), " -namespace=n/s p -\n".trim_start());
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
