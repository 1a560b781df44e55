//! `docker-compose.yml`.

use std::fs;

use rstest::rstest;
use serde_json::{Value, json};

use super::real_part::{installed, real_dir};
use super::{documents, is_pinned, repository, run, said, succeeds, text};

/// What is wrong with a service of the compose file.
fn complaints_of_service(name: &str, service: &Value) -> Vec<String> {
    let mut wrong = vec![];
    let mut expect = |holds: bool, what: &str| {
        if !holds {
            wrong.push(format!("{name}: {what}"));
        }
    };
    expect(service["image"].as_str().is_some_and(is_pinned), "its image has no version");
    let user = service["user"].as_str().and_then(|user| user.split(':').next()).and_then(|id| id.parse::<u32>().ok());
    expect(user.is_some_and(|id| id > 0), "it may be root");
    expect(service["read_only"] == true, "its root can be written to");
    expect(service["cap_drop"] == json!(["ALL"]) && service["cap_add"].is_null(), "it has capabilities");
    expect(service["security_opt"] == json!(["no-new-privileges:true"]), "it may gain privileges");
    for key in ["privileged", "network_mode", "pid", "ipc", "devices"] {
        expect(service[key].is_null(), &format!("it has `{key}`"));
    }
    let list = |key: &str| service[key].as_array().cloned().unwrap_or_default();
    for port in list("ports") {
        expect(port.as_str().is_some_and(|port| port.starts_with("127.0.0.1:")), "a port is open to the network");
        expect(name == "cambio", "only cambio is reached from outside");
    }
    for volume in list("volumes") {
        let volume = volume.as_str().unwrap();
        let source = volume.split(':').next().unwrap();
        expect(!source.starts_with('/'), "it mounts a place of the machine");
        let is_file = source.starts_with("./");
        expect(
            !is_file || (volume.ends_with(":ro") && repository(source).exists()),
            "a mounted file is missing or not `ro`",
        );
    }
    let networks: Vec<_> = list("networks").iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    expect(!networks.is_empty(), "it is in the default network");
    let stays_inside =
        ["openbao", "openbao-setup", "postgres", "redis", "issuers", "ready", "state-secrets"].contains(&name);
    expect(!stays_inside || !networks.contains(&"edge".to_owned()), "it is in a network with a way out");
    for (variable, value) in service["environment"].as_object().into_iter().flatten() {
        let names_a_secret = ["PASSWORD", "SECRET", "TOKEN", "KEY"].iter().any(|word| variable.contains(word));
        expect(!names_a_secret, &format!("`{variable}` has a secret in it: {value}"));
    }
    wrong
}

pub(super) fn compose() -> Value {
    documents(&text("docker-compose.yml")).remove(0)
}

#[test]
fn every_container_has_no_more_than_it_needs() {
    let compose = compose();
    let services = compose["services"].as_object().unwrap();
    for name in ["cambio", "openbao", "openbao-setup", "postgres", "redis", "issuers"] {
        assert!(services.contains_key(name), "no service `{name}`");
    }
    let wrong: Vec<_> = services.iter().flat_map(|(name, service)| complaints_of_service(name, service)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let inner: Vec<_> = compose["networks"].as_object().unwrap().iter().filter(|(name, _)| *name != "edge").collect();
    assert!(inner.len() == 2 && inner.iter().all(|(_, network)| network["internal"] == true), "{inner:?}");
}

#[rstest]
#[case::root("postgres", "user", json!("0:0"))]
#[case::a_name_for_a_user("postgres", "user", json!("postgres"))]
#[case::a_moving_image("postgres", "image", json!("postgres:latest"))]
#[case::an_image_without_a_version("postgres", "image", json!("postgres"))]
#[case::a_root_that_is_written_to("postgres", "read_only", json!(false))]
#[case::capabilities("postgres", "cap_add", json!(["SYS_ADMIN"]))]
#[case::privileges("postgres", "privileged", json!(true))]
#[case::the_machines_network("postgres", "network_mode", json!("host"))]
#[case::a_port_for_everybody("cambio", "ports", json!(["8200:8200"]))]
#[case::a_port_of_the_backend("postgres", "ports", json!(["127.0.0.1:5432:5432"]))]
#[case::the_engines_socket("postgres", "volumes", json!(["/var/run/docker.sock:/var/run/docker.sock"]))]
#[case::a_way_out("postgres", "networks", json!(["edge"]))]
#[case::a_password("postgres", "environment", json!({"POSTGRES_PASSWORD": "x"}))]
fn a_container_that_has_more_is_noticed(#[case] name: &str, #[case] key: &str, #[case] value: Value) {
    let mut service = compose()["services"][name].clone();
    assert!(complaints_of_service(name, &service).is_empty(), "{service}");
    service[key] = value;
    assert_eq!(complaints_of_service(name, &service).len(), 1, "{service}");
}

#[test]
fn each_container_waits_for_what_it_needs() {
    let services = compose()["services"].take();
    for (service, needs, condition) in [
        ("cambio", "openbao", "service_healthy"),
        ("cambio", "postgres", "service_healthy"),
        ("cambio", "redis", "service_healthy"),
        ("postgres", "state-secrets", "service_completed_successfully"),
        ("openbao-setup", "openbao", "service_healthy"),
        ("openbao-setup", "ready", "service_completed_successfully"),
        ("pod", "openbao-setup", "service_completed_successfully"),
        ("job", "openbao-setup", "service_completed_successfully"),
    ] {
        assert_eq!(services[service]["depends_on"][needs]["condition"], condition, "{service} on {needs}");
        let is_watched = services[needs]["healthcheck"]["test"].is_array();
        assert!(condition != "service_healthy" || is_watched, "nobody asks whether {needs} is healthy");
    }
}

/// Runs the script of `state-secrets` on a directory of this machine, for a group of this user's.
pub(super) fn make_state_secrets(directory: &std::path::Path) {
    use std::os::unix::fs::MetadataExt as _;
    let script = repository("deploy/compose/state-secrets.sh");
    let group = fs::metadata("/proc/self").unwrap().gid().to_string();
    succeeds(std::path::Path::new("sh"), &[script.to_str().unwrap(), directory.to_str().unwrap(), &group], "");
}

#[test]
fn secrets_of_the_state_are_made_once_for_nobody_else_to_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
    make_state_secrets(directory.path());
    let made = ["master-key", "postgres-password", "database-url"].map(read);
    assert_eq!((made[0].len(), made[1].len()), (64, 64));
    assert_ne!(made[0], made[1]);
    assert_eq!(made[2], format!("postgres://cambio:{}@postgres/cambio?sslmode=disable\n", made[1]));
    for (name, mode) in [("master-key", 0o600), ("postgres-password", 0o640), ("database-url", 0o600)] {
        let found = fs::metadata(directory.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{name}");
    }
    make_state_secrets(directory.path());
    assert_eq!(["master-key", "postgres-password", "database-url"].map(read), made);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
}

#[test]
fn cambio_and_postgres_get_the_secrets_that_are_made() {
    let compose = compose();
    for name in ["cambio", "openbao-setup", "postgres"] {
        let volumes = &compose["services"][name]["volumes"];
        assert!(volumes.as_array().unwrap().contains(&json!("state-secrets:/run/cambio:ro")), "{name}: {volumes}");
    }
    assert!(compose["services"]["state-secrets"]["volumes"].to_string().contains("state-secrets:/var/tmp"));
    assert!(text("deploy/compose/postgres.sh").contains("POSTGRES_PASSWORD_FILE=/run/cambio/postgres-password\n"));
    for file in ["/run/cambio/database-url", "/run/cambio/master-key"] {
        assert!(text("deploy/cambio.yaml").contains(file), "{file}");
    }
}

#[test]
fn the_one_token_in_the_files_says_that_it_is_none() {
    let token = text("deploy/compose/openbao-dev-token");
    assert_eq!(token, "dev-only-not-a-secret\n");
    let openbao = compose()["services"]["openbao"]["command"].to_string();
    assert!(openbao.contains(&format!("-dev-root-token-id={}", token.trim())), "{openbao}");
    let setup = compose()["services"]["openbao-setup"].take();
    assert_eq!(setup["secrets"], json!(["openbao_dev_token"]));
    assert!(setup["command"].to_string().contains("--token-file=/run/secrets/openbao_dev_token"), "{setup}");
    assert!(!setup.to_string().contains(token.trim()), "a token does not belong on a command line");
}

#[test]
fn docker_compose_takes_the_file() {
    if !installed("packaging") {
        return;
    }
    let compose = real_dir().join("packaging/docker-compose");
    let arguments = ["--file", "docker-compose.yml", "--profile", "workloads", "config", "--quiet"];
    succeeds(&compose, &arguments, "");
    let directory = tempfile::tempdir().unwrap();
    let broken = directory.path().join("docker-compose.yml");
    fs::write(
        &broken,
        text("docker-compose.yml")
            .replace("    read_only: true", "    read_onlly: true")
            .replace("  read_only: true", "  read_onlly: true"),
    )
    .unwrap();
    let output = run(&compose, &["--file", broken.to_str().unwrap(), "config", "--quiet"], "");
    assert!(!output.status.success() && said(&output).contains("read_onlly"), "{}", said(&output));
}
