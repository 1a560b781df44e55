//! A real API server takes the manifests, and cambio runs with the configurations.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::compose::{compose, make_state_secrets};
use super::kubernetes::{KUSTOMIZATIONS, built, objects, of_kind};
use super::postgres::Postgres;
use super::real_part::{RealPart, installed};
use super::redis::Redis;
use super::{documents, repository, run, said, succeeds, text};

const CLUSTER_ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// Where the API server keeps an object.
fn path_of(object: &Value) -> String {
    let kind = object["kind"].as_str().unwrap();
    let plural = match kind {
        "NetworkPolicy" => "networkpolicies".to_owned(),
        other => format!("{}s", other.to_lowercase()),
    };
    let version = object["apiVersion"].as_str().unwrap();
    let group = if version == "v1" { "api/v1".to_owned() } else { format!("apis/{version}") };
    let name = object["metadata"]["name"].as_str().unwrap();
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("/{group}/namespaces/{namespace}/{plural}/{name}"),
        None => format!("/{group}/{plural}/{name}"),
    }
}

/// Applies an object as `kubectl apply --server-side` does, the server keeping it or not; its status and what it said.
fn apply(cluster: &RealPart, object: &Value, keep: bool) -> (String, String) {
    let dry = if keep { "" } else { "&dryRun=All" };
    let url = format!("{}{}?fieldManager=test{dry}", cluster.said("url"), path_of(object));
    let (ca, token) = (cluster.said("ca"), format!("authorization: Bearer {}", cluster.said("admin_token")));
    let arguments = [
        ["--silent", "--show-error", "--noproxy", "*"],
        ["--cacert", &ca, "--header", &token],
        ["--header", "content-type: application/apply-patch+yaml", "--request", "PATCH"],
        ["--data-binary", "@-", "--write-out", "\n%{http_code}"],
    ];
    let arguments: Vec<&str> = arguments.iter().flatten().copied().chain([url.as_str()]).collect();
    let answer = succeeds(Path::new("curl"), &arguments, &object.to_string());
    let (body, status) = answer.rsplit_once('\n').unwrap();
    (status.to_owned(), body.to_owned())
}

/// A server of 1.20 does not know `policy/v1`, which has the same fields for a budget as its `policy/v1beta1`.
fn as_this_server_knows_it(mut object: Value) -> Value {
    if object["apiVersion"] == "policy/v1" {
        object["apiVersion"] = json!("policy/v1beta1");
    }
    object
}

#[test]
fn an_api_server_takes_the_manifests_and_cambio_runs_with_what_is_in_them() {
    if !installed("packaging") {
        return;
    }
    let Some(mut cluster) = RealPart::kubernetes(&["--issuer", CLUSTER_ISSUER]) else { return };
    let objects: Vec<Vec<Value>> = KUSTOMIZATIONS.iter().map(|name| documents(&built(name))).collect();
    let objects: Vec<Value> = objects.into_iter().flatten().map(as_this_server_knows_it).collect();
    // A server that keeps nothing has no namespace to look into.
    for namespace in of_kind(&objects, "Namespace") {
        let (status, body) = apply(&cluster, namespace, true);
        assert!(status == "200" || status == "201", "{status} {body}");
    }
    for object in &objects {
        let (status, body) = apply(&cluster, object, false);
        assert!(status == "200" || status == "201", "{}: {status} {body}", path_of(object));
    }
    let mut broken = of_kind(&objects, "StatefulSet").remove(0).clone();
    broken["spec"]["template"]["spec"]["containers"][0]["securityContext"]["privilleged"] = json!(false);
    let (status, body) = apply(&cluster, &broken, false);
    assert!(!status.starts_with('2') && body.contains("privilleged"), "{status} {body}");

    let pod = json!({"namespace": "payments", "service_account": "api", "pod": "api-1",
                     "audiences": ["https://cambio.cambio.svc"]});
    let token = cluster.command("token", &pod);
    let place = Place::new();
    place.policies_as_the_kubelet_mounts_them(token["service_account_uid"].as_str().unwrap());
    let config = place.config_of_the_manifests("deploy/kubernetes/base/cambio.yaml", Some(&cluster));
    let server = Server::start(&config, &place);
    let token_file = place.private("pod.jwt", token["token"].as_str().unwrap());
    let ca = repository("tests/cli_support/test-only-tls/ca.crt");
    let answer = exchange(
        &["--url", &format!("https://localhost:{}", server.port), "--ca-file", ca.to_str().unwrap()],
        &token_file,
        "payments-api",
    );
    assert!(answer.status.success(), "{}", said(&answer));
    let issued: Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert!(issued["access_token"].is_string());
    let other = cluster.command(
        "token",
        &json!({"namespace": "payments", "service_account": "other", "pod": "other-1",
                                                 "audiences": ["https://cambio.cambio.svc"]}),
    );
    let token_file = place.private("other.jwt", other["token"].as_str().unwrap());
    let answer = exchange(
        &["--url", &format!("https://localhost:{}", server.port), "--ca-file", ca.to_str().unwrap()],
        &token_file,
        "payments-api",
    );
    assert_eq!(answer.status.code(), Some(1), "{}", said(&answer));
}

/// A directory that has, for one run, what the containers have in theirs.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn private(&self, name: &str, content: &str) -> String {
        fs::write(self.at(name), content).unwrap();
        fs::set_permissions(self.at(name), Permissions::from_mode(0o600)).unwrap();
        self.at(name)
    }

    /// The volume `policies` of the StatefulSet: its items, as links into a hidden directory.
    fn policies_as_the_kubelet_mounts_them(&self, service_account_uid: &str) {
        let objects = objects();
        let set = of_kind(&objects, "StatefulSet").remove(0);
        let volumes = set["spec"]["template"]["spec"]["volumes"].as_array().unwrap();
        let policies = volumes.iter().find(|volume| volume["name"] == "policies").unwrap();
        let directory = self.0.path().join("policies");
        for item in policies["configMap"]["items"].as_array().unwrap() {
            let file = directory.join("..2026").join(item["path"].as_str().unwrap());
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            let source = text(&format!("deploy/kubernetes/base/policies/{}", item["key"].as_str().unwrap()));
            fs::write(file, source.replace("14ee3fa4-a7e2-420f-9f9a-dbc4507c3798", service_account_uid)).unwrap();
            let first = item["path"].as_str().unwrap().split('/').next().unwrap();
            symlink(format!("..data/{first}"), directory.join(first)).unwrap();
        }
        symlink("..2026", directory.join("..data")).unwrap();
    }

    /// A configuration with the places and addresses of this machine in it, its ports given by [`Server::start`].
    fn config_of_the_manifests(&self, path: &str, cluster: Option<&RealPart>) -> String {
        for name in ["leaf.crt", "leaf.key"] {
            self.private(name, &text(&format!("tests/cli_support/test-only-tls/{name}")));
        }
        self.private("master_key", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
        let mount = "/var/run/secrets/kubernetes.io/serviceaccount";
        let mut text = text(path)
            .replace("/etc/cambio-tls/tls.crt", &self.at("leaf.crt"))
            .replace("/etc/cambio-tls/tls.key", &self.at("leaf.key"))
            .replace("/etc/cambio-master-key/master_key", &self.at("master_key"))
            .replace("/etc/cambio-policies", &self.at("policies"))
            .replace("/data/cambio", &self.at("data"));
        if let Some(cluster) = cluster {
            text = text
                .replace("server: https://kubernetes.default.svc\n", &format!("server: {}\n", cluster.said("url")))
                .replace(&format!("{mount}/ca.crt"), &cluster.said("ca"))
                .replace(&format!("{mount}/token"), &cluster.said("reader_token_file"));
        }
        text
    }
}

/// A running `cambio serve`. It ends when this is dropped.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// With a configuration that listens on 8200 and 9200 of every address, here on free ports of this machine.
    fn start(config: &str, place: &Place) -> Self {
        let (port, ops) = (free_port(), free_port());
        let config = config
            .replace("0.0.0.0:8200", &format!("127.0.0.1:{port}"))
            .replace("0.0.0.0:9200", &format!("127.0.0.1:{ops}"));
        let file = place.private("cambio.yaml", &config);
        let log = fs::File::create(place.at("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_cambio"));
        let child = command.args(["serve", "--config", &file]).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut server = Self { child, port };
        let url = format!("http://127.0.0.1:{ops}/readyz");
        let arguments = ["--silent", "--fail", "--noproxy", "*", "--output", "/dev/null", url.as_str()];
        eventually(&mut server.child, "cambio is ready", &place.at("log"), || {
            run(Path::new("curl"), &arguments, "").status.success()
        });
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn eventually(child: &mut Child, what: &str, log: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        let log = || fs::read_to_string(log).unwrap_or_default();
        assert!(child.try_wait().unwrap().is_none(), "not {what}: it ended: {}", log());
        assert!(start.elapsed() < Duration::from_secs(60), "not {what} after a minute: {}", log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn exchange(url: &[&str], token_file: &str, target: &str) -> Output {
    let arguments = ["exchange", "--token-file", token_file, "--target", target, "--output", "json", "--verbose"];
    let arguments: Vec<&str> = arguments.iter().chain(url).copied().collect();
    run(Path::new(env!("CARGO_BIN_EXE_cambio")), &arguments, "")
}

#[rstest]
#[case("deploy/kubernetes/base/cambio.yaml")]
#[case("deploy/kubernetes/overlays/kubernetes-store/cambio.yaml")]
fn cambio_finds_the_configurations_of_the_manifests_good(#[case] path: &str) {
    let place = Place::new();
    place.policies_as_the_kubelet_mounts_them("14ee3fa4-a7e2-420f-9f9a-dbc4507c3798");
    let file = place.private("cambio.yaml", &place.config_of_the_manifests(path, None));
    let out = succeeds(Path::new(env!("CARGO_BIN_EXE_cambio")), &["serve", "--config", &file, "--check"], "");
    assert!(out.contains("ok: 1 issuer, 1 target, all cases hold\n"), "{out}");
}

/// What is in the image and below the mounts of `docker-compose.yml` is what runs here, but for names and ports.
#[test]
fn the_demo_of_the_compose_file_exchanges() {
    let (Some(postgres), Some(redis)) = (Postgres::start(), Redis::start()) else { return };
    let place = Place::new();
    let compose = compose();
    let issuers = compose["services"]["issuers"]["command"].as_array().unwrap().iter();
    let tokens = place.at("tokens");
    let arguments =
        issuers.map(|word| word.as_str().unwrap().replace("/tokens", &tokens).replace("=issuers", "=localhost"));
    let log = fs::File::create(place.at("issuers.log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cambio"));
    let child = command.args(arguments).stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let mut issuers = Server { child, port: 8301 };
    let pod = format!("{tokens}/pod.jwt");
    eventually(&mut issuers.child, "issuers are there", &place.at("issuers.log"), || Path::new(&pod).exists());

    let config = text("deploy/cambio.yaml")
        .replace("http://issuers:", "http://localhost:")
        .replace("/etc/cambio/policies", repository("policies").to_str().unwrap())
        .replace("redis://redis:6379/0", &redis.url())
        .replace("/run/cambio", &place.at("state-secrets"))
        .replace("data: /data", &format!("data: {}", place.at("data")));
    // In a Redis that was there before the tokens were made.
    redis.has_been_there("cambio:");
    fs::create_dir(place.at("state-secrets")).unwrap();
    make_state_secrets(Path::new(&place.at("state-secrets")));
    let url_file = place.at("state-secrets/database-url");
    let password = fs::read_to_string(place.at("state-secrets/postgres-password")).unwrap();
    postgres.ask(&format!("CREATE USER cambio PASSWORD '{password}'"));
    postgres.ask("CREATE DATABASE cambio OWNER cambio");
    let here = format!("@127.0.0.1:{}/", postgres.port());
    fs::write(&url_file, fs::read_to_string(&url_file).unwrap().replace("@postgres/", &here)).unwrap();
    let server = Server::start(&config, &place);
    let url = format!("http://127.0.0.1:{}", server.port);
    for (workload, works) in [("pod", true), ("job", true), ("job", false)] {
        let words = compose["services"][workload]["command"].as_array().unwrap().iter();
        let words =
            words.map(|word| word.as_str().unwrap().replace("/tokens", &tokens).replace("http://cambio:8200", &url));
        let words: Vec<String> = words.collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let answer = run(Path::new(env!("CARGO_BIN_EXE_cambio")), &words, "");
        assert_eq!(answer.status.code(), Some(i32::from(!works)), "{workload}: {}", said(&answer));
    }
    assert_eq!(redis.remembered(), 1, "the job's token");
    let port = postgres.port().to_string();
    let tables = [
        "-h",
        "127.0.0.1",
        "-p",
        &port,
        "-U",
        "cambio",
        "-d",
        "cambio",
        "-AtXc",
        "SELECT count(*) > 0 FROM signing_keys",
    ];
    assert_eq!(succeeds(Path::new("psql"), &tables, "").trim(), "t");
}
