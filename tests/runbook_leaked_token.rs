//! The drill: the commands of `docs/runbook-leaked-token.md`, in order, against a counter whose token has leaked and was used.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod admin_support;
mod support;
mod vault;

use std::path::Path;
use std::process::Command;

use admin_support::{admin, ask, kept, planted, stand};
use serde_json::Value;
use vault::NAMESPACE;

/// The lines after `$` of the page's `console` blocks.
fn commands() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbook-leaked-token.md");
    let text = std::fs::read_to_string(page).unwrap();
    let blocks = text.split("```console\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.flat_map(str::lines).filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_the_runbook_end_what_a_leaked_token_could_do_and_show_what_it_did() {
    let stand = stand().await;
    let (account, id, leaked) = planted(&stand, NAMESPACE, "ci", &[]).await;
    // It was used: to look at what there is (in vain), and to take a new one in its place, which the owner does not know of.
    assert_eq!(ask(&stand, &leaked, "GET", "issuers", Value::Null).await.status, 403);
    let rotated = ask(&stand, &leaked, "POST", "/api/v4/personal_access_tokens/self/rotate", Value::Null).await;
    let stolen = rotated.json()["token"].as_str().unwrap().to_owned();
    let operator = admin(&stand, "ops-1").await;
    kept(&stand, &operator, &rotated).await;
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("leaked")).unwrap();
    std::fs::write(home.path().join("leaked/job.log"), format!("+ export TOKEN={leaked}\n")).unwrap();
    let bin = Path::new(env!("CARGO_BIN_EXE_cambio")).parent().unwrap().to_owned();
    let url = stand.url("");
    let (mut printed, commands) = (vec![], commands());
    assert!(commands.len() >= 9, "{commands:?}");
    for command in &commands {
        // Somebody who has a copy comes once more: in vain, and to be seen.
        if command.starts_with("cambio decisions list") {
            let refused = ask(&stand, &leaked, "GET", "issuers", Value::Null).await;
            assert_eq!(refused.status, 401);
            kept(&stand, &operator, &refused).await;
        }
        let out = Command::new("sh")
            .args(["-c", &format!("PATH={}:$PATH; {command}", bin.display())])
            .current_dir(home.path())
            .env("CAMBIO_URL", &url)
            .env("CAMBIO_SECRETS_TOKEN", &operator)
            .output()
            .unwrap();
        let (text, said) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert!(out.status.success(), "{command}\n{text}{said}");
        assert!(!text.contains(&leaked) && !said.contains(&leaked), "{command} prints the token");
        printed.push(text.into_owned());
    }
    let of = |start: &str| printed[commands.iter().position(|command| command.starts_with(start)).unwrap()].as_str();
    assert!(of("cambio service-account token find <").contains(&id));
    assert!(of("cambio service-account token find --revoke").contains("2 tokens of the family were good until now"));
    let uses = of("cambio decisions list");
    for use_of_it in ["token.rotate_self", "acl_denied", "account_token_revoked"] {
        assert!(uses.contains(use_of_it), "{use_of_it}: {uses}");
    }
    let listed = of("cambio service-account token list");
    assert_eq!((listed.matches("revoked").count(), listed.matches("active").count()), (2, 1), "{listed}");
    for token in [&leaked, &stolen] {
        assert_eq!(ask(&stand, token, "GET", "issuers", Value::Null).await.status, 401);
    }
    let new = std::fs::read_to_string(home.path().join("new-token")).unwrap();
    assert_eq!(ask(&stand, new.trim(), "GET", "issuers", Value::Null).await.status, 403, "{}", account.id);
    assert!(!home.path().join("found.txt").exists());
}
