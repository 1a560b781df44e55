//! `cambio service-account token`: a new token stands alone on standard output, once, so that it can be piped to where it is
//! kept; whatever else is said goes to standard error.

use std::io::Read as _;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::registry::with;
use super::table::{cell, tokens};
use super::{EndArgs, Place};
use crate::accounts::{AccountToken, TOKEN_BYTES, TOKEN_PREFIX};
use crate::cli::session::{Stop, span};
use crate::cli::text::shown;
use crate::cli::{CliError, pretty, print};
use crate::clock::Clock;
use crate::exchange::ROOT;

/// The most that is searched for tokens, in bytes.
const MOST: u64 = 16 * 1024 * 1024;

#[derive(Debug, Args)]
pub(super) struct Token {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a token: it is printed once, alone.
    Issue(Issue),
    /// List an account's tokens.
    List(List),
    /// Put a new token in the place of one, which stays good for a while.
    Rotate(Rotate),
    /// Revoke a token.
    Revoke(Revoke),
    /// Find tokens in what comes over standard input: whose they are, and what became of them.
    Find(Find),
}

#[derive(Debug, Args)]
struct Issue {
    /// NAMESPACE/NAME, or the account's id.
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// What the token is called, for people.
    #[arg(long)]
    name: String,
    #[command(flatten)]
    end: EndArgs,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct List {
    /// NAMESPACE/NAME, or the account's id.
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// Where the page before ended.
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Rotate {
    /// NAMESPACE/NAME, or the account's id.
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// The token's id, as `list` prints it.
    #[arg(value_name = "TOKEN-ID")]
    token: String,
    /// How long the old one stays good beside the new one: `1h`; `0` for not at all.
    #[arg(long, value_name = "SPAN")]
    overlap: Option<String>,
    #[command(flatten)]
    end: EndArgs,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Revoke {
    /// NAMESPACE/NAME, or the account's id.
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// The token's id, as `list` prints it.
    #[arg(value_name = "TOKEN-ID")]
    token: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Find {
    /// Revoke what is found, with the whole family: whoever had it may have rotated it.
    #[arg(long)]
    revoke: bool,
    #[command(flatten)]
    place: Place,
}

impl Token {
    pub(super) async fn run(self) -> Result<(), Stop> {
        match self.command {
            Command::Issue(issue) => issue.run().await,
            Command::List(list) => list.run().await,
            Command::Rotate(rotate) => rotate.run().await,
            Command::Revoke(revoke) => revoke.run().await,
            Command::Find(find) => find.run().await,
        }
    }
}

impl Issue {
    async fn run(self) -> Result<(), Stop> {
        let body = json!({"name": self.name, "expires_at": self.end.needed(Clock::System.now())?});
        let made = self.place.registry().await?.issue(&self.account, &body).await?;
        alone(&self.place, &made)
    }
}

impl List {
    async fn run(self) -> Result<(), Stop> {
        let found = self.place.registry().await?.tokens(&self.account, self.cursor.as_deref()).await?;
        self.place.show(&found, tokens)
    }
}

impl Rotate {
    async fn run(self) -> Result<(), Stop> {
        let mut body = json!({});
        if let Some(moment) = self.end.moment(Clock::System.now())? {
            body = with(body, "expires_at", moment.into());
        }
        if let Some(text) = &self.overlap {
            let seconds = if text == "0" { 0 } else { span("--overlap", text)?.as_secs() };
            body = with(body, "overlap", seconds.into());
        }
        let made = self.place.registry().await?.rotate(&self.account, &self.token, &body).await?;
        alone(&self.place, &made)
    }
}

impl Revoke {
    async fn run(self) -> Result<(), Stop> {
        self.place.registry().await?.revoke(&self.account, &self.token).await?;
        eprintln!("cambio: revoked; what was minted for it ends as well");
        Ok(())
    }
}

impl Find {
    /// A text that looks like a token and whose checksum does not hold is counted, and not sent anywhere.
    async fn run(self) -> Result<(), Stop> {
        let mut text = Zeroizing::new(Vec::new());
        let read = std::io::stdin().lock().take(MOST).read_to_end(&mut text);
        read.map_err(|error| CliError::new(format!("standard input: {error}")))?;
        let (found, odd) = tokens_in(&String::from_utf8_lossy(&text));
        if odd > 0 {
            eprintln!("cambio: {odd} texts begin as tokens do, and their checksum does not hold: cut, or made up");
        }
        if found.is_empty() {
            return Err(Stop::No("no token of a service account is in it".to_owned()));
        }
        let mut registry = self.place.registry().await?;
        let (mut all, mut unknown) = (vec![], 0);
        for token in &found {
            match registry.find(token.text(), self.revoke).await {
                Ok(one) => all.push(one),
                Err(Stop::No(text)) => {
                    eprintln!("cambio: {text}");
                    unknown += 1;
                }
                Err(stop) => return Err(stop),
            }
        }
        let document = json!({"found": all});
        print(&if self.place.json { pretty(&document) } else { told(&all) })?;
        if unknown == 0 {
            Ok(())
        } else {
            Err(Stop::No(format!("{unknown} of {} are none of this cambio's", found.len())))
        }
    }
}

/// The tokens in a text, each once, and how many texts only look like one.
fn tokens_in(text: &str) -> (Vec<AccountToken>, usize) {
    let (mut found, mut odd): (Vec<AccountToken>, usize) = (vec![], 0);
    for (at, _) in text.match_indices(TOKEN_PREFIX) {
        let candidate = text.get(at..).unwrap_or_default();
        let length = candidate.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        let candidate = candidate.get(..length.min(TOKEN_BYTES)).unwrap_or_default();
        match AccountToken::parse(candidate) {
            Ok(token) if length == TOKEN_BYTES => {
                if !found.iter().any(|other| other.text() == token.text()) {
                    found.push(token);
                }
            }
            _ => odd += 1,
        }
    }
    (found, odd)
}

/// A new token, and what is known about it.
fn alone(place: &Place, made: &Value) -> Result<(), Stop> {
    if place.json {
        return Ok(print(&pretty(made))?);
    }
    let text = Zeroizing::new(format!("{}\n", made["token"].as_str().unwrap_or_default()));
    print(&text)?;
    eprintln!(
        "cambio: token {} of family {}, until {}; it is not shown again",
        cell(&made["id"]),
        cell(&made["family_id"]),
        cell(if made["ends_at"].is_null() { &made["expires_at"] } else { &made["ends_at"] }),
    );
    Ok(())
}

fn told(all: &[Value]) -> String {
    let one = |found: &Value| {
        let (token, account) = (&found["token"], &found["service_account"]);
        let mut lines = format!(
            "token     {} ({})\nfamily    {}\nstate     {}\naccount   {}/{} ({})\nowner     {}\nlast used {}\n",
            cell(&token["id"]),
            cell(&token["name"]),
            cell(&token["family_id"]),
            cell(&token["state"]),
            shown(account["namespace"].as_str().unwrap_or(ROOT)),
            cell(&account["name"]),
            cell(&account["status"]),
            cell(&account["owner"]),
            cell(&token["last_used_at"]),
        );
        if let Some(count) = found["revoked_now"].as_u64() {
            lines.push_str(&format!("revoked   {count} tokens of the family were good until now\n"));
        }
        lines
    };
    all.iter().map(one).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_by_prefix_and_checksum_each_once() {
        let token = AccountToken::new().unwrap();
        let text = token.text();
        let last = if text.ends_with('0') { '1' } else { '0' };
        let broken = format!("{}{last}", &text[..text.len() - 1]);
        let log = format!("Authorization: Bearer {text}\n\"{text}\" {broken} cambio_sa_short {text}x x{text}_");
        let (found, odd) = tokens_in(&log);
        assert_eq!(found.iter().map(AccountToken::text).collect::<Vec<_>>(), [text]);
        assert_eq!(odd, 4);
    }
}
