//! The estate: accounts, their tokens and secrets, all made through the API as an operator's script would.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::json;

use crate::Plan;
use crate::client::Client;
use crate::deployment::Deployment;
use crate::fixture::Fixture;
use crate::report::Report;

const LOADERS: usize = 32;
const FOLDERS: usize = 1000;

/// What the load asks with.
pub struct Estate {
    /// Texts of tokens of service accounts.
    pub account_tokens: Vec<String>,
    /// Secrets tokens, of exchanges.
    pub secrets_tokens: Vec<String>,
    pub secrets: usize,
}

/// The name of a secret in the project, as a path has it.
pub fn secret(number: usize) -> String {
    format!("f{}%2Fs{number}", number % FOLDERS)
}

pub fn load(deployment: &Deployment, fixture: &Fixture, plan: Plan, report: &mut Report) -> Estate {
    let name = deployment.state.name();
    report.row(&format!("{name}: memory at first"), deployment.resident_mib(), "MiB");
    let mut client = Client::new(deployment.replicas[0].address);
    let exchanges = fixture.requests("/oauth2/token", 100);
    let secrets_tokens: Vec<String> = exchanges
        .iter()
        .map(|request| client.ask(request).good()["access_token"].as_str().expect("token").to_owned())
        .collect();
    let admin = &secrets_tokens[0];

    let accounts = Mutex::new(Vec::new());
    timed(report, &format!("{name}: accounts made"), plan.accounts, deployment, |client, number| {
        let body = json!({"namespace": "group_100/group_200", "name": format!("account-{number}"),
            "owner": "platform@example.com", "description": "of the benchmark",
            "expires_at": "2027-01-20T00:00:00Z",
            "permissions": [{"secrets": format!("secret/app/f{}/*", number % 10)}, {"secrets": "secret/app/*"}]});
        let made = client.json("POST", "/api/admin/v1/service-accounts", admin, &body.to_string()).good();
        accounts.lock().expect("lock").push(made["id"].as_str().expect("id").to_owned());
    });
    let accounts = accounts.into_inner().expect("lock");

    let tokens = Mutex::new(Vec::new());
    let count = plan.accounts * plan.tokens_each;
    timed(report, &format!("{name}: tokens issued"), count, deployment, |client, number| {
        let path = format!("/api/admin/v1/service-accounts/{}/tokens", accounts[number % accounts.len()]);
        let body = json!({"name": "load", "expires_at": "2027-01-10T00:00:00Z"}).to_string();
        let made = client.json("POST", &path, admin, &body).good();
        tokens.lock().expect("lock").push(made["token"].as_str().expect("token").to_owned());
    });

    timed(report, &format!("{name}: secrets written"), plan.secrets, deployment, |client, number| {
        let path = format!("/v1/secret/data/app/{}", secret(number).replace("%2F", "/"));
        let body = json!({"data": {"value": "x".repeat(180)}}).to_string();
        client.json("POST", &path, admin, &body).good();
    });
    report.row(&format!("{name}: memory with all of them"), deployment.resident_mib(), "MiB");
    Estate { account_tokens: tokens.into_inner().expect("lock"), secrets_tokens, secrets: plan.secrets }
}

fn timed(
    report: &mut Report,
    what: &str,
    count: usize,
    deployment: &Deployment,
    make: impl Fn(&mut Client, usize) + Sync,
) {
    let (next, began) = (AtomicUsize::new(0), Instant::now());
    std::thread::scope(|scope| {
        for loader in 0..LOADERS {
            let (next, make) = (&next, &make);
            let address = deployment.replicas[loader % deployment.replicas.len()].address;
            scope.spawn(move || {
                let mut client = Client::new(address);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    make(&mut client, number);
                }
            });
        }
    });
    let secs = began.elapsed().as_secs_f64();
    eprintln!("  {what}: {count} in {secs:.1} s");
    report.row(&format!("{what} ({count})"), secs, "s");
    report.row("  a second", count as f64 / secs, "/s");
}
