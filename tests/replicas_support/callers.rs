//! Those who ask replicas while these are killed, and what each of them holds against an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::ledger::{Ledger, Noted};
use super::{Call, Dice, Replicas, Unanswered};
use crate::support::Answer;

/// How soon a change at one replica counts at the other.
pub const SOON: Duration = Duration::from_secs(2);
/// How many secrets there are: few, so that writers meet.
pub const PATHS: usize = 24;
/// How many versions of each are kept: more than are written.
const VERSIONS: u64 = 1000;

/// The replicas, who asks them, and what came of it.
pub struct World {
    pub replicas: Replicas,
    pub ledger: Ledger,
    pub over: AtomicBool,
    pub admin: String,
    /// May read and write.
    pub job: String,
    /// Has a good token, and no permission where the others read.
    pub outsiders: [String; 2],
    /// The account whose tokens are rotated.
    pub account: String,
    pub account_token: String,
}

impl World {
    pub async fn furnish(replicas: Replicas) -> Arc<Self> {
        let admin = replicas.login("ops-1", "admin").await;
        let (job, outsider) = (replicas.login("job-1", "vault").await, replicas.login("outsider-1", "vault").await);
        let account = replicas.account(&admin, "reader", "secret/app/*").await;
        let elsewhere = replicas.account(&admin, "elsewhere", "secret/outside/*").await;
        let [account_token, powerless] = [
            replicas.done(&Replicas::issue(&admin, &account)).await.text_of("token"),
            replicas.done(&Replicas::issue(&admin, &elsewhere)).await.text_of("token"),
        ];
        // Their tokens are good, so that a refusal is for want of a permission.
        let own = Call::write(&outsider, "outside/0", "own", None);
        replicas.done(&own).await;
        for token in [&outsider, &powerless] {
            replicas.done(&Call::get(token, "/v1/secret/data/outside/0")).await;
        }
        let outsiders = [outsider, powerless];
        let (ledger, over) = (Ledger::default(), AtomicBool::new(false));
        let this = Self { replicas, ledger, over, admin, job, outsiders, account, account_token };
        for number in 0..PATHS {
            let path = format!("/v1/secret/metadata/app/{number}");
            this.replicas.done(&Call::post(&this.job, path, json!({"max_versions": VERSIONS}))).await;
            this.writes_one(&format!("app/{number}"), format!("app/{number} first"), None).await;
        }
        Arc::new(this)
    }

    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::SeqCst)
    }

    /// Through the round-robin, where somebody always listens.
    async fn call(&self, kind: &'static str, call: &Call) -> (usize, Result<Answer, Unanswered>) {
        let sent = Instant::now();
        let (replica, answer) = self.replicas.call(call).await;
        self.ledger.note(kind, replica, sent, &answer);
        let nobody = matches!(answer, Err(Unanswered { refused: true }));
        assert!(!nobody, "{kind}: neither replica takes a connection");
        let lost = call.method == "GET" && answer.is_err();
        assert!(!lost, "{kind}: neither replica answers what can be asked again");
        (replica, answer)
    }

    /// At this replica, which may be down.
    pub async fn at(&self, kind: &'static str, replica: usize, call: &Call) -> Result<Answer, Unanswered> {
        let sent = Instant::now();
        let answer = self.replicas.at(replica, call).await;
        self.ledger.note(kind, replica, sent, &answer);
        answer
    }

    async fn writes_one(&self, path: &str, value: String, cas: Option<u64>) {
        self.ledger.attempts(&value);
        match self.call("write", &Call::write(&self.job, path, &value, cas)).await.1 {
            Ok(answer) if answer.status == 200 => {
                let version = answer.json()["data"]["version"].as_u64().unwrap();
                assert!(cas.is_none_or(|cas| version == cas + 1), "{path}: {cas:?} was replaced by {version}");
                self.ledger.wrote(path, version, &value);
            }
            Ok(answer) if answer.status == 400 && cas.is_some() => {}
            Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text),
            // Done or not: nobody was told.
            Err(_) => {}
        }
    }

    /// Reads the newest version, which is at least as new as what was acknowledged before.
    pub async fn reads_one(&self, token: &str, number: usize) {
        let path = format!("app/{number}");
        let known = self.ledger.newest(&path);
        let answer = self.call("read", &Call::value(token, &number.to_string(), None)).await.1.unwrap();
        if answer.status == 503 {
            return;
        }
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        let (version, value) = version_and_value(&answer);
        assert!(version >= known, "{path}: {known} was acknowledged, and {version} is read");
        self.ledger.is_right(&path, version, &value);
    }
}

/// What REST says of a value.
pub fn version_and_value(answer: &Answer) -> (u64, String) {
    (answer.json()["version"].as_u64().unwrap(), answer.text_of("value"))
}

/// Presents tokens of one use at both replicas at once, and again a moment later.
pub async fn presents(world: Arc<World>, mut dice: Dice) {
    while world.goes_on() {
        let token = world.replicas.shared.token(&format!("job-{}", dice.below(50)));
        let call = Call::exchange(&token, "vault");
        let (one, other) = tokio::join!(world.at("present", 0, &call), world.at("present", 1, &call));
        let answers = [one, other];
        let with = |status| answers.iter().flatten().filter(|answer| answer.status == status).count();
        let (admitted, replayed, unavailable) = (with(200), with(400), with(503));
        let cut_off = answers.iter().filter(|answer| matches!(answer, Err(Unanswered { refused: false }))).count();
        let known = answers.iter().all(|answer| answer.as_ref().map_or(true, |a| [200, 400, 503].contains(&a.status)));
        assert!(known && admitted <= 1, "{answers:?}");
        // Nobody is told that it was used who was not told so because somebody used it.
        assert!(replayed == 0 || admitted + cut_off + unavailable > 0, "burnt by nobody: {answers:?}");
        tokio::time::sleep(dice.millis(300)).await;
        let again = world.call("present again", &call).await.1;
        let again = usize::from(again.is_ok_and(|answer| answer.status == 200));
        assert!(admitted + again <= 1, "admitted twice: {answers:?}");
        world.ledger.with(|entries| entries.presented.push((token, admitted + again == 1)));
    }
}

/// Writes values; every fourth only over the version that it knows.
pub async fn writes(world: Arc<World>, writer: usize, mut dice: Dice) {
    let mut count = 0;
    while world.goes_on() {
        let number = dice.below(PATHS);
        let path = format!("app/{number}");
        let cas = (dice.below(4) == 0).then(|| world.ledger.newest(&path));
        world.writes_one(&path, format!("{path} of {writer}, {count}"), cas).await;
        if dice.below(4) == 0 {
            world.reads_one(&world.job, number).await;
        }
        count += 1;
        tokio::time::sleep(dice.millis(100)).await;
    }
}

/// Reads values, as a service account and as a job.
pub async fn reads(world: Arc<World>, mut dice: Dice) {
    while world.goes_on() {
        let token = if dice.below(2) == 0 { &world.job } else { &world.account_token };
        world.reads_one(token, dice.below(PATHS)).await;
        tokio::time::sleep(dice.millis(100)).await;
    }
}

/// Reads without a permission, and with tokens that were revoked: in vain, wherever.
pub async fn intrudes(world: Arc<World>, mut dice: Dice) {
    while world.goes_on() {
        let number = dice.below(PATHS);
        let calls = |token: &str| {
            let vault = Call::get(token, format!("/v1/secret/data/app/{number}"));
            [vault, Call::value(token, &number.to_string(), None)]
        };
        let outsider = &calls(&world.outsiders[dice.below(2)])[dice.below(2)];
        let answer = world.call("read without permission", outsider).await.1.unwrap();
        assert!([404, 503].contains(&answer.status), "{} {}", answer.status, answer.text);
        if let Some(revoked) = world.ledger.revoked_before(SOON, dice.below(10_000)) {
            let call = &calls(&revoked)[dice.below(2)];
            if let Ok(answer) = world.at("read by a revoked token", dice.below(2), call).await {
                assert!([401, 403, 503].contains(&answer.status), "{} {}", answer.status, answer.text);
            }
        }
        tokio::time::sleep(dice.millis(100)).await;
    }
}

/// Rotates a token of a service account again and again, each by itself.
pub async fn rotates(world: Arc<World>, mut dice: Dice) {
    let mut token = None;
    while world.goes_on() {
        let Some(own) = token.clone() else {
            // The answer to a rotation was lost, and with it the new token: the account needs another one.
            let issued = world.call("issue", &Replicas::issue(&world.admin, &world.account)).await.1;
            token = issued.ok().filter(|answer| answer.status == 201).map(|answer| answer.text_of("token"));
            continue;
        };
        let call = Call::post(&own, "/api/v4/personal_access_tokens/self/rotate", Value::Null);
        let call = Call { body: super::Body::None, ..call };
        let (replica, answer) = world.call("rotate", &call).await;
        match answer {
            Ok(answer) if answer.status == 200 => {
                let (new, at) = (answer.text_of("token"), Instant::now());
                is_taken_up(&world, replica, &new, at).await;
                world.ledger.with(|entries| entries.rotated.push(Noted { token: new.clone(), at }));
                token = Some(new);
            }
            // It was done, and nobody knows the new one; or was not.
            Ok(answer) if answer.status == 409 => token = None,
            Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text),
            Err(_) => {}
        }
        tokio::time::sleep(dice.millis(120)).await;
    }
}

/// A new token is good at once where it was made, and soon at the other replica.
async fn is_taken_up(world: &World, replica: usize, token: &str, at: Instant) {
    let read = Call::value(token, "0", None);
    if let Ok(answer) = world.at("read by a new token", replica, &read).await {
        assert!([200, 503].contains(&answer.status), "not good where it was made: {} {}", answer.status, answer.text);
    }
    loop {
        let sent = at.elapsed();
        match world.at("read by a new token", 1 - replica, &read).await {
            Ok(answer) if answer.status == 401 => assert!(sent < SOON, "not good at the other after {sent:?}"),
            Ok(answer) => return assert!([200, 503].contains(&answer.status), "{} {}", answer.status, answer.text),
            Err(_) => return,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Revokes tokens that it has used.
pub async fn revokes(world: Arc<World>, mut dice: Dice) {
    while world.goes_on() {
        tokio::time::sleep(dice.millis(120)).await;
        let exchange = Call::exchange(&world.replicas.shared.token("job-revoked"), "vault");
        let Ok(answer) = world.call("exchange", &exchange).await.1 else { continue };
        if answer.status != 200 {
            // Refused without a reason that a caller has; or a token that the killed replica had admitted.
            assert!(answer.status == 503, "{} {}", answer.status, answer.text);
            continue;
        }
        let token = answer.token();
        let (replica, answer) = world.call("revoke", &Call::form("/oauth2/revoke", &[("token", &token)])).await;
        let Ok(answer) = answer else { continue };
        if answer.status == 503 {
            continue;
        }
        assert_eq!(answer.status, 200, "{}", answer.text);
        let at = Instant::now();
        if let Ok(answer) = world.at("read by a revoked token", replica, &Call::value(&token, "0", None)).await {
            assert!([401, 503].contains(&answer.status), "good where it was revoked: {}", answer.status);
        }
        world.ledger.with(|entries| entries.revoked.push(Noted { token, at }));
    }
}
