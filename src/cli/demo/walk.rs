//! The walk: what a pod, a CI job, an intruder, a secrets server and an operator each see. Every step says what should
//! come of it, and is held to that.

use zeroize::Zeroizing;

use super::operator::Operator;
use super::screen::Screen;
use super::secret;
use super::stage::Stage;
use super::step::{Faults, shown, with_other_policies};
use super::wire::Call;
use super::workloads::{Minted, Tokens, Workload};
use crate::cli::CliError;
use crate::jose::{CompactJws, KeyRules, KeySet};

/// The secrets server that may introspect, and the file with its password.
pub(super) const RESOURCE_SERVER: &str = "secrets-server";
pub(super) const RESOURCE_SERVER_SECRET: &str = "secrets-server.secret";

/// The file that the pod's secrets token is kept in.
const ISSUED: &str = "issued.jwt";

/// Everything that a walk needs, and how it went so far.
pub(super) struct Walk<'a> {
    pub(super) screen: &'a Screen,
    pub(super) stage: &'a Stage,
    pub(super) tokens: &'a Tokens,
    pub(super) operator: Operator,
    pub(super) url: String,
    pub(super) secret: String,
    pub(super) steps: usize,
    pub(super) misbehaved: Vec<usize>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        screen: &'a Screen,
        stage: &'a Stage,
        tokens: &'a Tokens,
        operator: Operator,
        secret: String,
    ) -> Self {
        let url = tokens.audience.clone();
        Self { screen, stage, tokens, operator, url, secret, steps: 0, misbehaved: Vec::new() }
    }

    /// All steps; answers how many there were, and which of them did not behave.
    pub(super) async fn run(mut self) -> Result<(usize, Vec<usize>), CliError> {
        let password = secret::put(&self.operator.counter).await?;
        let issued = self.pod().await?;
        let job = self.job().await?;
        self.sibling().await?;
        self.replay(&job).await?;
        self.stranger().await?;
        self.reads(&password).await?;
        self.executes(&password).await?;
        self.verified_by_keys(&issued).await?;
        self.revoked(&issued).await?;
        Ok((self.steps, self.misbehaved))
    }

    async fn pod(&mut self) -> Result<Zeroizing<String>, CliError> {
        self.begins("A pod exchanges its projected service account token");
        let (answer, record, mut faults) = self.asks(Workload::Pod).await?;
        let names = ["iss", "sub", "aud", "namespace", "policies", "scope", "exp", "iat", "jti", "client_id", "rule"];
        let claims = self.got(&answer, &names, &mut faults);
        faults.expect("`sub`", &shown(claims.get("sub")), "prod-cluster:system:serviceaccount:payments:api");
        faults.expect("`aud`", &shown(claims.get("aud")), "payments-api");
        faults.expect("`namespace`", &shown(claims.get("namespace")), "payments");
        faults.expect("`policies`", &shown(claims.get("policies")), r#"["workloads/payments/api"]"#);
        self.operator.explains(&record, self.screen);
        faults.expect("the record's outcome", &record.outcome, "issued");
        self.ends("allowed", &faults);
        Ok(Zeroizing::new(answer.text("access_token").to_owned()))
    }

    async fn job(&mut self) -> Result<Minted, CliError> {
        self.begins("A protected GitLab job that deploys to production");
        let minted = self.tokens.fresh(Workload::Job, self.operator.counter.clock().now())?;
        let (answer, record, mut faults) = self.presents(Workload::Job, &minted).await?;
        let claims = self.got(&answer, &["sub", "aud", "namespace", "policies", "exp"], &mut faults);
        let policies = r#"["pipelines/protected/global","pipelines/protected/env/70726f64756374696f6e"]"#;
        faults.expect("`policies`", &shown(claims.get("policies")), policies);
        faults.expect("`namespace`", &shown(claims.get("namespace")), "group_100/group_200");
        self.operator.explains(&record, self.screen);
        self.screen.row("note", "70726f64756374696f6e is `production` in hex");
        self.ends("allowed", &faults);
        Ok(minted)
    }

    async fn sibling(&mut self) -> Result<(), CliError> {
        self.begins("The same job in a project of a sibling group, 201 instead of 200: denied, and explained");
        let (answer, record, mut faults) = self.asks(Workload::Sibling).await?;
        self.refused(&answer, &record, "conditions_not_met", &mut faults);
        self.screen.row("more", "the whole record, as the operator asks for it:");
        self.screen.command(&self.stage.cambio(&["explain", &record.id]));
        faults.expect(
            "the explanation",
            record.detail.as_deref().unwrap_or_default(),
            "rule `pipeline`, require[2]: the project does not belong to group 200",
        );
        self.ends("denied", &faults);
        Ok(())
    }

    async fn replay(&mut self, job: &Minted) -> Result<(), CliError> {
        self.begins("Somebody copied the job's token of step 2 from a log and presents it again");
        let (answer, record, mut faults) = self.presents(Workload::Job, job).await?;
        self.refused(&answer, &record, "token_replayed", &mut faults);
        self.ends("denied", &faults);
        Ok(())
    }

    async fn stranger(&mut self) -> Result<(), CliError> {
        self.begins("A stranger writes the job's claims and signs them with a key of their own");
        let (answer, record, mut faults) = self.asks(Workload::Stranger).await?;
        self.refused(&answer, &record, "key_unknown", &mut faults);
        self.ends("denied", &faults);
        Ok(())
    }

    async fn verified_by_keys(&mut self, issued: &str) -> Result<(), CliError> {
        self.begins("A secrets server verifies the pod's token of step 1 by itself, with the published keys");
        let mut faults = Faults::default();
        let metadata = Call::new(format!("{}/.well-known/oauth-authorization-server", self.url)).send().await?;
        let keys = Call::new(metadata.text("jwks_uri"));
        self.screen.command(&keys.curl());
        let keys = KeySet::parse(keys.send().await?.body.to_string().as_bytes(), &KeyRules::default());
        let keys = keys.map_err(CliError::new)?;
        let verifies = |token: &str| {
            let Ok(token) = CompactJws::parse(Zeroizing::new(token.to_owned())) else { return false };
            let mut keys = keys.candidates(token.unverified_algorithm(), token.unverified_key_id());
            keys.any(|key| token.is_signed_by(key))
        };
        let said = |good| if good { "its signature verifies" } else { "its signature does not verify" };
        let (good, changed) = (said(verifies(issued)), said(verifies(&with_other_policies(issued))));
        self.screen.row("the token", good);
        self.screen.row("a forgery", &format!("with policies [\"admin\"]: {changed}"));
        faults.expect("the token", good, said(true));
        faults.expect("the forgery", changed, said(false));
        self.ends("verified", &faults);
        Ok(())
    }

    async fn revoked(&mut self, issued: &str) -> Result<(), CliError> {
        self.begins("The secrets server asks about that token, the pod revokes it, the server asks again");
        let mut faults = Faults::default();
        let file = self.stage.write(ISSUED, issued)?;
        let secret = self.stage.join(RESOURCE_SERVER_SECRET);
        let introspect = Call::new(format!("{}/oauth2/introspect", self.url))
            .field("client_id", RESOURCE_SERVER)
            .file("client_secret", secret, &self.secret)
            .file("token", file.clone(), issued);
        let revoke = Call::new(format!("{}/oauth2/revoke", self.url)).file("token", file, issued);
        self.screen.command(&introspect.curl());
        let before = introspect.send().await?;
        self.screen.row("server", &format!("gets {}", before.status));
        self.members(&before.body, &["active", "sub", "aud", "policies"]);
        self.screen.command(&revoke.curl());
        let revoked = revoke.send().await?;
        self.screen.row("pod", &format!("gets {}", revoked.status));
        let after = introspect.send().await?;
        self.screen.row("server", &format!("asks again and gets {} {}", after.status, after.body));
        faults.expect("the first answer", &shown(before.body.get("active")), "true");
        faults.expect("the revocation", &revoked.status.to_string(), "200");
        faults.expect("the last answer", &after.body.to_string(), r#"{"active":false}"#);
        self.ends("revoked", &faults);
        Ok(())
    }
}
