//! `cambio demo` as a new user runs it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use cambio::config::Config;

fn demo(temporary: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cambio"));
    command.arg("demo").args(arguments).env("TMPDIR", temporary).stdin(Stdio::null());
    command
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).unwrap().next().is_none()
}

/// Anything that looks like a whole token: a header, a payload and a signature.
fn shows_a_token(text: &str) -> bool {
    let long = |part: &str| part.len() > 30;
    text.split(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).any(|word| {
        let parts: Vec<_> = word.split('.').collect();
        word.contains("eyJ") && parts.len() == 3 && parts.into_iter().all(long)
    })
}

#[test]
fn a_walk_behaves_says_why_and_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let Output { status, stdout, stderr } = demo(temporary.path(), &["--once"]).output().unwrap();
    let (text, errors) = (String::from_utf8(stdout).unwrap(), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{text}{errors}");
    for line in [
        "all 9 steps behaved",
        "the password that the operator put there",
        r#"{"errors":[]}: what it may not read"#,
        r#"["pipelines/protected/global","#,
        "pipelines/protected/env/70726f64756374696f6e",
        r#"["workloads/payments/api"]"#,
        r#""error_description":"the token is not acceptable""#,
        "the project does not belong to group 200",
        r#"claims.project_group_ids.exists(id, id == "200")"#,
        r#"has project_group_ids ["201","100"]"#,
        "(token_replayed)",
        "(key_unknown)",
        r#"{"active":false}"#,
        "curl -s http://127.0.0.1:",
    ] {
        assert!(text.contains(line), "no `{line}` in {text}");
    }
    assert!(errors.is_empty(), "{errors}");
    assert!(!text.contains("NOT as it should be"), "{text}");
    assert!(!text.contains('\x1b'), "colours go to terminals only");
    assert!(!shows_a_token(&text), "{text}");
    let paths = temporary.path().to_str().unwrap().len() - "/tmp".len();
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(100 + paths), "{widest:?}");
    assert!(is_empty(temporary.path()));
}

#[test]
fn a_demo_stays_until_it_is_told_to_stop_and_its_lines_work() {
    let temporary = tempfile::tempdir().unwrap();
    let mut child = demo(temporary.path(), &[]).stdout(Stdio::piped()).spawn().unwrap();
    let lines: Vec<String> = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.contains("/metrics"))
        .collect();
    let turn = lines.iter().position(|line| line.contains("Your turn")).unwrap();
    let pasted: Vec<_> = lines[turn..].iter().skip_while(|line| !line.contains("$ curl")).collect();
    let end = pasted.iter().position(|line| !line.ends_with('\\')).unwrap();
    let command: String = pasted[..=end].iter().map(|line| line.replace("$ ", "") + "\n").collect();
    let answer = Command::new("sh").args(["-c", &command]).output().unwrap();
    let answer = String::from_utf8(answer.stdout).unwrap();

    // The standard library only knows SIGKILL.
    let interrupted = Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap();
    assert!(interrupted.success());
    assert!(child.wait().unwrap().success());
    assert!(answer.contains("access_token"), "{command}\n{answer}");
    assert!(is_empty(temporary.path()));
}

#[test]
fn a_directory_with_something_else_in_it_is_left_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::write(home.path().join("cambio.yaml"), "mine").unwrap();
    let output = demo(home.path(), &["--once", "--directory", home.path().to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("neither empty nor of a demo"));
    assert_eq!(std::fs::read_to_string(home.path().join("cambio.yaml")).unwrap(), "mine");
}

#[test]
fn the_configuration_of_the_containers_is_good() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = Config::load_without_secrets(&root.join("deploy/cambio.yaml")).unwrap();
    let names: Vec<_> = config.catalog().iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names, ["github", "gitlab", "prod-cluster"]);
    let compose = std::fs::read_to_string(root.join("docker-compose.yml")).unwrap();
    assert!(compose.contains(&format!("--audience={}", config.issuer)), "the issuers' tokens are for this counter");
}
