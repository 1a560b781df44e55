//! `cambio secret`, `cambio exec` and `cambio agent`: the real program against a running counter with a local store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test says so")]

mod cli_support;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use cli_support::{Counter, Place, Said, answer, cambio_with, chmod, mode, next, server};
use rstest::rstest;
use serde_json::json;

const SECRETS: &str = "secrets:\n  mounts:\n    - {mount: secret, namespace: \"*\", store: local}\n    - {mount: kv1, namespace: \"*\", version: 1, store: local}\n    - {mount: kubernetes, namespace: \"*\", store: local}\n";
const ACL: &str = r#"
path "secret/data/app/*" { capabilities = ["create", "read", "update", "patch"] }
path "secret/metadata/app/*" { capabilities = ["read", "list"] }
path "secret/metadata/app" { capabilities = ["list"] }
path "kv1/app/*" { capabilities = ["create", "read", "update", "list"] }
path "kubernetes/data/team-a/*" { capabilities = ["create", "read", "update"] }
"#;
const VALUE: &str = "hunter2 planted";

/// A counter, and a job that has a token for it.
struct Desk {
    place: Place,
    counter: Counter,
    token: String,
}

impl Desk {
    fn new() -> Self {
        let place = Place::new(SECRETS);
        place.write("policies/group_100/group_200/sys/policies/acl/pipelines/protected/global.hcl", ACL);
        let token = place.write("token", &place.token());
        let counter = place.counter();
        Self { place, counter, token }
    }

    /// Runs the program as the job.
    fn run(&self, args: &[&str], env: &[(&str, &str)], input: &str) -> Said {
        let url = self.counter.url();
        let mut all = vec![
            ("CAMBIO_URL", url.as_str()),
            ("CAMBIO_TARGET", "group-pipelines"),
            ("CAMBIO_TOKEN_FILE", self.token.as_str()),
            ("PATH", "/usr/bin:/bin"),
        ];
        all.extend(env);
        let said = cambio_with(args, &all, input);
        assert!(!said.err.contains("hunter2") && !said.err.contains("eyJ"), "{said:?}");
        said
    }

    /// The same, which ends well and says nothing besides.
    fn ok(&self, args: &[&str]) -> String {
        let said = self.run(args, &[], "");
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
        said.out
    }

    fn put(&self, field: &str) {
        self.ok(&["secret", "put", "secret/app/db", field, "--patch"]);
    }

    fn filled() -> Self {
        let desk = Self::new();
        desk.ok(&["secret", "put", "secret/app/db", &format!("password={VALUE}"), "port=5432"]);
        desk
    }

    /// Starts the program as the job, to run for a while.
    fn start(&self, args: &[&str], env: &[(&str, &str)]) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cambio"));
        command.args(args).env_clear().envs(env.iter().copied());
        command.env("CAMBIO_URL", self.counter.url()).env("CAMBIO_TARGET", "group-pipelines");
        command.env("CAMBIO_TOKEN_FILE", &self.token).env("PATH", "/usr/bin:/bin");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Running(command.spawn().unwrap())
    }
}

/// A program that is killed at the latest when the test is over.
struct Running(Child);

impl Running {
    fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        assert!(Command::new("/bin/sh").args(["-c", &format!("kill -{name} {id}")]).status().unwrap().success());
    }

    fn code(mut self) -> i32 {
        for _ in 0..1000 {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code().unwrap();
            }
            sleep(Duration::from_millis(20));
        }
        panic!("it does not end");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until a file reads so.
fn until(path: &Path, fits: impl Fn(&str) -> bool) -> String {
    let mut text = String::new();
    for _ in 0..1000 {
        text = fs::read_to_string(path).unwrap_or_default();
        if fits(&text) {
            return text;
        }
        sleep(Duration::from_millis(20));
    }
    panic!("`{}` has {text:?}", path.display());
}

#[test]
fn a_secret_is_written_read_listed_and_has_versions() {
    let desk = Desk::new();
    let first = desk.ok(&["secret", "put", "secret/app/db", &format!("password={VALUE}"), "port=5432"]);
    assert_eq!(first, "version 1 of secret/app/db\n");
    assert_eq!(desk.ok(&["secret", "get", "secret/app/db", "--field", "password"]), VALUE);
    assert_eq!(desk.ok(&["secret", "get", "bao://secret/app/db#/port"]), "5432");
    let patched = desk.ok(&["secret", "put", "secret/app/db", "port=5433", "--patch", "--cas", "1"]);
    assert_eq!(patched, "version 2 of secret/app/db\n");
    let both: serde_json::Value =
        serde_json::from_str(&desk.ok(&["secret", "get", "secret/app/db", "--format", "json"])).unwrap();
    assert_eq!(both, json!({"password": VALUE, "port": "5433"}));
    assert_eq!(desk.ok(&["secret", "get", "secret/app/db", "--version", "1", "--field", "port"]), "5432");
    let lines = desk.ok(&["secret", "get", "secret/app/db", "--format", "env"]);
    assert_eq!(lines, format!("password='{VALUE}'\nport='5433'\n"));
    desk.ok(&["secret", "put", "secret/app/more/x", "a=b"]);
    assert_eq!(desk.ok(&["secret", "list", "secret/app"]), "db\nmore/\n");
    let versions = desk.ok(&["secret", "versions", "secret/app/db"]);
    assert_eq!(versions.lines().count(), 2, "{versions}");
    assert!(versions.starts_with("     2  20") && versions.lines().next().unwrap().ends_with("current"), "{versions}");
    let told: serde_json::Value =
        serde_json::from_str(&desk.ok(&["secret", "versions", "bao://secret/app/db#/port", "--json"])).unwrap();
    assert_eq!(told["current_version"], 2);
}

#[test]
fn a_value_comes_back_byte_by_byte_from_a_file_and_from_standard_input() {
    let desk = Desk::new();
    let text = "é\n\u{1}\"quoted\\\" \u{202e}\r\nend";
    let file = desk.place.write("value", text);
    desk.ok(&["secret", "put", "secret/app/a", &format!("v=@{file}")]);
    assert_eq!(desk.ok(&["secret", "get", "secret/app/a"]), text);
    let said = desk.run(&["secret", "put", "secret/app/b", "v=-"], &[], "hunter2\n");
    assert!(said.code == 0 && said.err.contains("`v` ends with a newline"), "{said:?}");
    assert_eq!(desk.ok(&["secret", "get", "secret/app/b"]), "hunter2\n");
    let said = desk.run(&["secret", "put", "secret/app/c", "-"], &[], r#"{"n": 1.0, "list": [1]}"#);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(desk.ok(&["secret", "get", "secret/app/c", "--field", "n"]), "1.0");
}

#[test]
fn a_mount_without_versions_is_read_and_written_as_well() {
    let desk = Desk::new();
    assert_eq!(desk.ok(&["secret", "put", "kv1/app/db", "a=b"]), "written kv1/app/db\n");
    assert_eq!(desk.ok(&["secret", "get", "kv1/app/db"]), "b");
    assert_eq!(desk.ok(&["secret", "list", "kv1/app"]), "db\n");
    let said = desk.run(&["secret", "versions", "kv1/app/db"], &[], "");
    assert!(said.code == 1 && said.err.contains("keeps no versions"), "{said:?}");
}

#[rstest]
#[case(&["secret", "get", "secret/app/nothing"], 1, "nothing there that this workload may read")]
#[case(&["secret", "get", "secret/private/db"], 1, "nothing there that this workload may read")]
#[case(&["secret", "get", "secret/data/app/db"], 1, "leave out `data/`")]
#[case(&["secret", "get", "secret/app/db"], 2, "`password`, `port`")]
#[case(&["secret", "get", "secret/app/db", "--field", "pasword"], 1, "it has `password`, `port`")]
#[case(&["secret", "get", "secret/app/db", "--version", "9"], 1, "nothing there")]
#[case(&["secret", "get", "nowhere/db"], 1, "no mount there")]
#[case(&["secret", "get", "secret"], 2, "cambio secret list")]
#[case(&["secret", "get", "secret/../db"], 2, "segments")]
#[case(&["secret", "get", "K8S://hunter2/db/x"], 2, "lower case")]
#[case(&["secret", "get", "secret/app/db", "--target", "other"], 1, "is there a target `other`?")]
#[case(&["secret", "get", "secret/app/db", "--url", "http://127.0.0.1:1"], 2, "cannot be reached")]
#[case(&["secret", "get", "secret/app/db", "--namespace", "group_100", "--field", "port"], 1, "permission denied")]
#[case(&["secret", "list", "secret/private"], 1, "nothing there")]
#[case(&["secret", "put", "secret/private/db", "a=hunter2"], 1, "permission denied")]
#[case(&["secret", "put", "secret/app/db", "a=hunter2", "--cas", "0"], 1, "check-and-set")]
#[case(&["secret", "put", "secret/app/db", "hunter2"], 2, "a field is")]
#[case(&["secret", "put", "bao://secret/app/db#/password", "hunter2"], 2, "`secret/app/db password=@FILE`")]
#[case(&["secret", "put", "secret/app/db"], 2, "FIELD")]
#[case(&["secret", "versions", "secret/private/db"], 1, "nothing there")]
fn what_does_not_work_is_told_with_the_exit_code_and_without_a_value(
    #[case] args: &[&str],
    #[case] code: i32,
    #[case] said_too: &str,
) {
    let desk = Desk::filled();
    let said = desk.run(args, &[], "");
    assert_eq!((said.code, said.out.as_str()), (code, ""), "{said:?}");
    assert!(said.err.contains(said_too), "{said:?}");
}

#[test]
fn a_secrets_token_that_is_there_is_used_and_nothing_is_exchanged() {
    let desk = Desk::filled();
    let token = desk.ok(&["exchange"]);
    let read = ["secret", "get", "secret/app/db", "--field", "password"];
    let env = [("CAMBIO_TARGET", ""), ("CAMBIO_TOKEN_FILE", "/nowhere"), ("CAMBIO_SECRETS_TOKEN", token.trim())];
    let said = desk.run(&read, &env, "");
    assert_eq!((said.code, said.out.as_str()), (0, VALUE), "{said:?}");
    let file = desk.place.write("secrets-token", &token);
    let said =
        desk.run(&[&read[..], &["--secrets-token-file", &file]].concat(), &[("CAMBIO_TOKEN_FILE", "/nowhere")], "");
    assert_eq!((said.code, said.out.as_str()), (0, VALUE), "{said:?}");
    let said = desk.run(&read, &[("CAMBIO_SECRETS_TOKEN", "not.a.token")], "");
    assert_eq!((said.code, said.out.as_str()), (1, ""), "{said:?}");
    let said = desk.run(&[&read[..], &["--target", ""]].concat(), &[("CAMBIO_TARGET", "")], "");
    assert!(said.code == 2 && said.err.contains("target"), "{said:?}");
}

#[test]
fn a_busy_server_is_asked_again_and_a_strange_one_is_told() {
    let busy = answer("503 Service Unavailable\r\nRetry-After: 1", r#"{"errors":["the store is not available"]}"#);
    let mount = answer("200 OK", r#"{"data":{"path":"secret/","options":{"version":"2"}}}"#);
    let value = answer("200 OK", r#"{"data":{"data":{"a":"b"},"metadata":{"version":1}}}"#);
    let env = [("CAMBIO_SECRETS_TOKEN", "a.b.c")];
    let (url, asked) = server(vec![busy, mount.clone(), value]);
    let get = |url: &str| cambio_with(&["secret", "get", "secret/x", "--url", url, "--namespace", "n/1"], &env, "");
    let said = get(&url);
    assert_eq!((said.code, said.out.as_str()), (0, "b"), "{said:?}");
    assert!(said.err.contains("trying again in 1 s"), "{said:?}");
    let requests = [next(&asked), next(&asked), next(&asked)].map(|request| request.to_ascii_lowercase());
    assert!(requests[1].starts_with("get /v1/sys/internal/ui/mounts/secret/x http"), "{}", requests[1]);
    assert!(requests[2].starts_with("get /v1/secret/data/x http"), "{}", requests[2]);
    assert!(requests.iter().all(|one| one.contains("x-vault-token: a.b.c") && one.contains("x-vault-namespace: n/1")));
    for strange in ["<html>", "{}", r#"{"data":{"path":"other/"}}"#, r#"{"data":{"data":"hunter2"}}"#] {
        let (url, _asked) = server(vec![answer("200 OK", strange)]);
        let said = get(&url);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
        assert!(said.err.contains("is this URL cambio's?") && !said.err.contains("hunter2"), "{said:?}");
    }
    let (url, _asked) = server(vec![mount, answer("302 Found\r\nLocation: http://evil.example/", "")]);
    assert!(get(&url).err.contains("redirect"));
}

#[test]
fn a_command_gets_the_values_and_no_token() {
    let desk = Desk::filled();
    desk.ok(&["secret", "put", "kubernetes/team-a/db", "password=cluster"]);
    let token = desk.place.token();
    let env = [
        ("DB_PASSWORD", "bao://secret/app/db#/password"),
        ("DB_PORT", "vault://secret/app/db#/port"),
        ("CLUSTER", "k8s://team-a/db/password"),
        ("MODE", "fast"),
        ("JWT", token.as_str()),
        ("CAMBIO_SECRETS_TOKEN", ""),
        ("CI_JOB_TOKEN", "job"),
    ];
    let exec = |more: &[&str]| {
        let said = desk.run(&[&["exec", "--token-env", "JWT"], more, &["--", "env"]].concat(), &env, "");
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
        assert!(!said.out.contains("eyJ") && !said.out.contains("CAMBIO_TOKEN"), "{said:?}");
        said.out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let all = exec(&[]);
    let password = format!("DB_PASSWORD={VALUE}");
    for line in [password.as_str(), "DB_PORT=5432", "CLUSTER=cluster", "MODE=fast", "CI_JOB_TOKEN=job"] {
        assert!(all.iter().any(|one| one == line), "{all:?}");
    }
    assert!(!exec(&["--scrub"]).contains(&"CI_JOB_TOKEN=job".to_owned()));
    let mut only = exec(&["--only-references"]);
    only.sort();
    assert_eq!(only, ["CLUSTER=cluster", &password, "DB_PORT=5432", "PATH=/usr/bin:/bin"]);
    let file = desk.place.write("app.env", "# the app's\nMODE=slow\nDB_PORT=k8s://team-a/db/password\n");
    let with_file = exec(&["--env-file", &file]);
    assert!(with_file.contains(&"MODE=slow".to_owned()) && with_file.contains(&"DB_PORT=cluster".to_owned()));
}

#[rstest]
#[case("bao://secret/app/nothing#/x", 1, "GOOD", "\n  BAD: there is nothing there")]
#[case("bao://secret/private/db#/x", 1, "GOOD", "\n  BAD: there is nothing there")]
#[case("bao://secret/app/db#/hunter", 1, "GOOD", "\n  BAD: the secret has no field `hunter`")]
#[case("k8s://team-a/db/password", 1, "GOOD", "\n  BAD: there is nothing there")]
#[case("K8S://hunter2/db/password", 2, "GOOD", "\n  BAD: a reference begins with")]
#[case("vault://host:8200", 2, "GOOD", "--except")]
fn nothing_is_started_where_one_reference_has_no_value(
    #[case] bad: &str,
    #[case] code: i32,
    #[case] not_said: &str,
    #[case] said_too: &str,
) {
    let desk = Desk::filled();
    let started = desk.place.text("started");
    for watch in [&[][..], &["--watch"]] {
        let args = [&["exec"], watch, &["--", "touch", &started]].concat();
        let env = [("GOOD", "bao://secret/app/db#/password"), ("BAD", bad)];
        let said = desk.run(&args, &env, "");
        assert_eq!((said.code, said.out.as_str()), (code, ""), "{said:?}");
        assert!(said.err.contains(said_too) && !said.err.contains(&format!("{not_said}:")), "{said:?}");
        assert!(!Path::new(&started).exists());
    }
}

#[test]
fn a_value_that_no_variable_can_have_stops_the_command_by_its_variables_name() {
    let desk = Desk::new();
    let said = desk.run(&["secret", "put", "secret/app/z", "-"], &[], r#"{"v": "hunter2\u0000"}"#);
    assert_eq!(said.code, 0, "{said:?}");
    let said = desk.run(&["exec", "--", "true"], &[("Z", "bao://secret/app/z#/v")], "");
    assert!(said.code == 1 && said.err.contains("\n  Z: the value has a zero byte"), "{said:?}");
}

#[rstest]
#[case(&["/bin/sh", "-c", "exit 7"], 7)]
#[case(&["/bin/sh", "-c", "exit 0"], 0)]
#[case(&["no-such-command"], 127)]
#[case(&["/etc/passwd"], 126)]
fn the_commands_exit_code_is_passed_through(#[case] command: &[&str], #[case] code: i32) {
    let desk = Desk::filled();
    for watch in [&[][..], &["--watch"]] {
        let args = [&["exec"], watch, &["--"], command].concat();
        assert_eq!(desk.run(&args, &[("DB", "bao://secret/app/db#/password")], "").code, code);
    }
    let killed = desk.run(&["exec", "--watch", "--", "/bin/sh", "-c", "kill -TERM $$"], &[], "");
    assert_eq!(killed.code, 143, "{killed:?}");
}

#[test]
fn a_command_is_restarted_with_the_value_that_changed_and_ended_by_our_end() {
    let desk = Desk::filled();
    let out = desk.place.path("out");
    let script = format!(
        "trap 'echo ended >> {0}; exit 3' TERM; echo \"$DB\" >> {0}; while :; do sleep 0.05; done",
        out.display()
    );
    let args = ["exec", "--watch", "--every", "1s", "--", "/bin/sh", "-c", &script];
    let running = desk.start(&args, &[("DB", "bao://secret/app/db#/password")]);
    until(&out, |text| text == format!("{VALUE}\n"));
    desk.put("password=second");
    until(&out, |text| text == format!("{VALUE}\nended\nsecond\n"));
    running.signal("TERM");
    assert_eq!(running.code(), 3);
    until(&out, |text| text == format!("{VALUE}\nended\nsecond\nended\n"));
}

#[test]
fn a_command_that_does_not_end_is_killed_before_a_restart() {
    let desk = Desk::filled();
    let out = desk.place.path("out");
    let script = format!("trap '' TERM; echo \"$DB\" >> {}; while :; do sleep 0.05; done", out.display());
    let args = ["exec", "--watch", "--every", "1s", "--grace", "1s", "--", "/bin/sh", "-c", &script];
    let running = desk.start(&args, &[("DB", "bao://secret/app/db#/password")]);
    until(&out, |text| text == format!("{VALUE}\n"));
    desk.put("password=second");
    until(&out, |text| text == format!("{VALUE}\nsecond\n"));
    drop(running);
}

#[test]
fn a_command_is_told_of_a_change_by_a_signal_and_gets_those_that_we_get() {
    let desk = Desk::filled();
    let out = desk.place.path("out");
    let script = format!(
        "trap 'echo changed >> {0}' USR1; trap 'echo hup >> {0}' HUP; echo up >> {0}; while :; do sleep 0.05; done",
        out.display()
    );
    let args = ["exec", "--watch=signal", "--signal", "usr1", "--every", "1s", "--", "/bin/sh", "-c", &script];
    let running = desk.start(&args, &[("DB", "bao://secret/app/db#/password")]);
    until(&out, |text| text == "up\n");
    running.signal("HUP");
    until(&out, |text| text == "up\nhup\n");
    desk.put("password=second");
    until(&out, |text| text == "up\nhup\nchanged\n");
    running.signal("TERM");
    assert_eq!(running.code(), 143);
}

#[test]
fn an_agent_writes_files_once_for_their_owner_alone() {
    let desk = Desk::filled();
    let template =
        desk.place.write("in", "p={{ bao://secret/app/db#/password }}\nj={{bao://secret/app/db#/port | json}}\n");
    let (token, out, told) = (desk.place.text("out/token"), desk.place.text("out/conf"), desk.place.text("told"));
    fs::create_dir(desk.place.path("out")).unwrap();
    let pair = format!("{template}:{out}");
    let on_change = format!("echo ${{CAMBIO_TOKEN_FILE-none}} >> {told}");
    let args = ["agent", "--once", "--out", &token, "--template", &pair, "--on-change", &on_change];
    desk.ok(&args);
    assert_eq!(fs::read_to_string(&out).unwrap(), format!("p={VALUE}\nj=\"5432\"\n"));
    assert_eq!((mode(token.as_ref()), mode(out.as_ref())), (0o600, 0o600));
    let said =
        desk.run(&["secret", "get", "secret/app/db", "--field", "port", "--secrets-token-file", &token], &[], "");
    assert_eq!((said.code, said.out.as_str()), (0, "5432"), "{said:?}");
    assert_eq!(fs::read_to_string(&told).unwrap(), "none\n");
    desk.ok(&["agent", "--once", "--template", &pair, "--on-change", &on_change]);
    assert_eq!(fs::read_to_string(&told).unwrap(), "none\n", "nothing changed, so nobody is told");
    assert_eq!(fs::read_dir(desk.place.path("out")).unwrap().count(), 2);
}

#[rstest]
#[case("{{ bao://secret/app/nothing#/x }}", 1, "bao://secret/app/nothing#/x: there is nothing there")]
#[case("{{ bao://secret/app/db#/hunter }}", 1, "no field `hunter`")]
#[case("a\n{{ hunter2 }}", 2, "line 2: ")]
#[case("{{ bao://secret/app/db#/port", 2, "without `}}`")]
fn a_file_stays_as_it_was_where_its_template_does_not_resolve(
    #[case] template: &str,
    #[case] code: i32,
    #[case] said_too: &str,
) {
    let desk = Desk::filled();
    let bad = format!("{}:{}", desk.place.write("bad.in", template), desk.place.write("bad", "as it was"));
    let good =
        format!("{}:{}", desk.place.write("good.in", "{{ bao://secret/app/db#/port }}"), desk.place.text("good"));
    let said = desk.run(&["agent", "--once", "--template", &bad, "--template", &good], &[], "");
    assert_eq!((said.code, said.out.as_str()), (code, ""), "{said:?}");
    assert!(said.err.contains(said_too), "{said:?}");
    assert_eq!(fs::read_to_string(desk.place.path("bad")).unwrap(), "as it was");
    assert_eq!(fs::read_to_string(desk.place.path("good")).unwrap(), "5432");
}

#[test]
fn an_agent_keeps_a_token_that_is_good_while_it_can_not_have_the_next() {
    let desk = Desk::filled();
    let out = desk.place.write("kept", "still good");
    chmod(out.as_ref(), 0o644);
    let said = desk.run(&["agent", "--once", "--out", &out, "--url", "http://127.0.0.1:1"], &[], "");
    assert!(said.code == 2 && said.err.contains("cannot be reached"), "{said:?}");
    let said = desk.run(&["agent", "--once", "--out", &out, "--target", "other"], &[], "");
    assert!(said.code == 1 && said.err.contains("is there a target"), "{said:?}");
    assert_eq!(fs::read_to_string(&out).unwrap(), "still good");
    for args in
        [&["agent"][..], &["agent", "--out", &out, "--token-file", "-"], &["agent", "--out", &out, "--mode", "rw"]]
    {
        assert_eq!(desk.run(args, &[], "").code, 2);
    }
}

#[test]
fn an_agent_that_stays_renews_the_token_with_the_one_that_the_platform_gives_now_and_sees_a_new_value() {
    let desk = Desk::filled();
    let (token, conf) = (desk.place.path("t"), desk.place.path("conf"));
    let template = format!("{}:{}", desk.place.write("in", "{{ bao://secret/app/db#/password }}"), conf.display());
    let out = desk.place.text("t");
    let args = ["agent", "--out", &out, "--template", &template, "--every", "1s", "--lifetime", "3s", "--mode", "0640"];
    let running = desk.start(&args, &[]);
    let first = until(&token, |text| text.split('.').count() == 3);
    until(&conf, |text| text == VALUE);
    assert_eq!((mode(&token), mode(&conf)), (0o640, 0o640));
    desk.put("password=second");
    let second = until(&token, |text| !text.is_empty() && text != first);
    until(&conf, |text| text == "second");
    // What the platform gives is no good for a while: both files stay, and all is well when it is good again.
    let platform = fs::read_to_string(&desk.token).unwrap();
    fs::write(&desk.token, "").unwrap();
    sleep(Duration::from_secs(5));
    let last = fs::read_to_string(&token).unwrap();
    assert!(!last.is_empty() && fs::read_to_string(&conf).unwrap() == "second");
    fs::write(&desk.token, platform).unwrap();
    until(&token, |text| text != last && text != second);
    running.signal("TERM");
    assert_eq!(running.code(), 0);
    assert!(token.exists() && conf.exists());
}
