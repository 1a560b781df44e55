//! The walkthroughs in `docs/` do what they say: their files are written, their changes applied and their commands run, in
//! order, in an empty directory, and what the program prints is compared with what the page shows.
//!
//! | a fenced block | what becomes of it |
//! |---|---|
//! | `yaml file=PATH` | the file is written; a `cambio policy` command in it (a pipeline's) is run and must succeed |
//! | `diff file=PATH` | the lines after `-` are replaced by those after `+` |
//! | `json token=PATH` | a token with these claims (and a signature of nobody) is written |
//! | `console` | `$ cambio ...` is run; `# exit 1` says how it ends; `...` stands for any lines |
//!
//! `CAMBIO_BLESS=1` writes what was printed into the page instead, for whoever changes the program to read and commit.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test says so by failing"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rstest::rstest;

#[rstest]
#[case::policies("docs/policies.md")]
fn a_walkthrough_does_what_it_says(#[case] page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let text = fs::read_to_string(&path).unwrap();
    let home = tempfile::tempdir().unwrap();
    let walked = Walk { home: home.path(), page, commands: 0 }.run(&text);
    if bless() {
        fs::write(&path, walked).unwrap();
    } else {
        assert_eq!(walked, text, "{page} shows something else than what is printed; CAMBIO_BLESS=1 writes it");
    }
}

#[allow(clippy::disallowed_methods, reason = "a switch for whoever runs the test")]
fn bless() -> bool {
    std::env::var_os("CAMBIO_BLESS").is_some()
}

struct Walk<'a> {
    home: &'a Path,
    page: &'a str,
    commands: usize,
}

impl Walk<'_> {
    /// The page as it should be.
    fn run(mut self, text: &str) -> String {
        let mut page = String::new();
        let mut lines = text.lines().enumerate();
        while let Some((number, line)) = lines.next() {
            writeln!(page, "{line}").unwrap();
            let Some(info) = line.strip_prefix("```").filter(|info| !info.is_empty()) else { continue };
            let body: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            let at = format!("{}:{}", self.page, number + 1);
            for line in self.block(info, &body, &at) {
                writeln!(page, "{line}").unwrap();
            }
            writeln!(page, "```").unwrap();
        }
        assert!(self.commands > 5, "{}: {} commands were run, which is no walkthrough", self.page, self.commands);
        page
    }

    fn block(&mut self, info: &str, body: &[&str], at: &str) -> Vec<String> {
        let mut words = info.split_whitespace();
        let (language, option) = (words.next().unwrap(), words.next());
        match (language, option.and_then(|option| option.split_once('='))) {
            ("yaml", Some(("file", path))) => self.write(path, body, at),
            ("diff", Some(("file", path))) => self.change(path, body, at),
            ("json", Some(("token", path))) => self.token(path, body),
            ("console", None) => return self.console(body, at),
            ("yaml" | "text" | "json" | "sh", None) => {}
            _ => panic!("{at}: nobody knows what to do with a block of `{info}`"),
        }
        body.iter().map(ToString::to_string).collect()
    }

    fn write(&mut self, path: &str, body: &[&str], at: &str) {
        let path = self.home.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{}\n", body.join("\n"))).unwrap();
        for line in body {
            if let Some(start) = line.find("cambio policy ") {
                let (printed, exit) = self.command(&line[start..]);
                assert_eq!(exit, 0, "{at}: {line}\n{printed}");
            }
        }
    }

    fn change(&self, path: &str, body: &[&str], at: &str) {
        let path = self.home.join(path);
        let mut text = fs::read_to_string(&path).unwrap();
        let side = |sign: char| -> String {
            body.iter().filter_map(|line| line.strip_prefix(sign)).map(|line| format!("{line}\n")).collect()
        };
        let (old, new) = (side('-'), side('+'));
        assert_eq!(text.matches(&old).count(), 1, "{at}: the file has this once:\n{old}");
        text = text.replacen(&old, &new, 1);
        fs::write(path, text).unwrap();
    }

    fn token(&self, path: &str, body: &[&str]) {
        let header = r#"{"alg":"RS256","kid":"k1","typ":"JWT"}"#;
        let claims: serde_json::Value = serde_json::from_str(&body.join("\n")).unwrap();
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let token = format!("{}.{}.{}", part(header.as_bytes()), part(claims.to_string().as_bytes()), part(&[7; 256]));
        fs::write(self.home.join(path), token).unwrap();
    }

    fn console(&mut self, body: &[&str], at: &str) -> Vec<String> {
        let mut shown = vec![];
        let mut lines = body.iter().peekable();
        while let Some(line) = lines.next() {
            let command = line.strip_prefix("$ ").unwrap_or_else(|| panic!("{at}: a console block begins with `$ `"));
            let (command, says) = command.split_once("  # exit ").map_or((command, "0"), |(c, exit)| (c, exit.trim()));
            shown.push((*line).to_owned());
            let mut expected = vec![];
            while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
                expected.push(*line);
            }
            let (printed, exit) = self.command(command);
            assert_eq!(exit.to_string(), says, "{at}: `{command}` ended with {exit}:\n{printed}");
            let printed: Vec<&str> = printed.trim_end().lines().map(str::trim_end).collect();
            if elided(&expected, &printed) {
                shown.extend(expected.iter().map(ToString::to_string));
            } else {
                shown.extend(printed.iter().map(ToString::to_string));
            }
        }
        shown
    }

    /// What it prints, both streams, and how it ends. No shell: words between blanks, quotes around a word taken off, and
    /// `> FILE` at the end.
    fn command(&mut self, line: &str) -> (String, i32) {
        self.commands += 1;
        let (line, into) = line.rsplit_once(" > ").map_or((line, None), |(line, file)| (line, Some(file.trim())));
        let mut words = line.split_whitespace().map(|word| word.trim_matches(['\'', '"']));
        let program = words.next().unwrap();
        let program = if program == "cambio" { env!("CARGO_BIN_EXE_cambio") } else { program };
        let mut command = Command::new(program);
        command.args(words).current_dir(self.home).env("NO_COLOR", "1").env("COLUMNS", "100");
        let output = command.env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap();
        let mut text = output.stderr;
        match into {
            None => text.splice(0..0, output.stdout).for_each(drop),
            Some(file) => {
                let path = self.home.join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, output.stdout).unwrap();
            }
        }
        (String::from_utf8(text).unwrap(), output.status.code().unwrap())
    }
}

/// Whether `printed` is `expected`, in which `...` stands for any lines.
fn elided(expected: &[&str], printed: &[&str]) -> bool {
    match expected.split_first() {
        None => printed.is_empty(),
        Some((&"...", rest)) => (0..=printed.len()).any(|skip| elided(rest, &printed[skip..])),
        Some((line, rest)) => printed.split_first().is_some_and(|(first, more)| first == line && elided(rest, more)),
    }
}
