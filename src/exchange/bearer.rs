//! Who presents a token to read secrets, and what it may do at this moment.
//!
//! Decides that a token of ours stands only as long as what it came from does: its rule, and the service account that it acts
//! as. Whoever has the token of a service account needs no token of ours. Refuses to know what is asked for.

use std::borrow::Cow;
use std::sync::Arc;

use super::counter::Counter;
use super::rules::Rules;
use crate::accounts::{AccountRefusal, AccountToken, Accounts, ActingAccount};
use crate::audit::Trail;
use crate::clock::Timestamp;
use crate::identity::{AccountName, IssuerName, Namespace, PolicyName};
use crate::mint::OwnToken;
use crate::secrets::acl::{AccountRules, Acl};

/// Whoever presents a token that is good now.
#[derive(Debug)]
pub enum Bearer {
    /// One of our tokens.
    Token(Arc<OwnToken>),
    /// The token of a service account, as it is.
    Account(AccountBearer),
}

/// Whoever presents the token of a service account.
#[derive(Debug)]
pub struct AccountBearer {
    pub(super) acting: ActingAccount,
    policies: Vec<PolicyName>,
    subject: String,
    token_id: String,
    issuer: IssuerName,
}

/// Why a token is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotGood {
    /// Not a token that is good now.
    #[error("the token is not one of ours, has ended, was revoked, or its rule is gone")]
    Token,
    /// This replica does not know any more what others revoked ([`BLIND_AFTER`](crate::state::BLIND_AFTER)).
    #[error("the revocations of other replicas could not be read for too long")]
    RevocationsUnknown,
    /// The service account, or its token, is not in order.
    #[error(transparent)]
    Account(#[from] AccountRefusal),
    /// There are no service accounts here.
    #[error("there are no service accounts here: no database is configured for them")]
    NoAccounts,
}

impl NotGood {
    /// A stable name of the reason.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Token => "token_not_good",
            Self::RevocationsUnknown => "revocations_unknown",
            Self::Account(refusal) => refusal.code(),
            Self::NoAccounts => "service_accounts_off",
        }
    }

    /// Whether trying again may help.
    #[must_use]
    pub const fn may_pass(self) -> bool {
        match self {
            Self::Account(refusal) => refusal.may_pass(),
            Self::RevocationsUnknown => true,
            Self::Token | Self::NoAccounts => false,
        }
    }
}

/// What a bearer may do at this moment: its policies, and what service accounts it acts as may do.
#[derive(Debug)]
pub struct Standing<'b> {
    namespace: Option<&'b Namespace>,
    policies: Cow<'b, [PolicyName]>,
    accounts: Vec<AccountRules>,
}

impl Standing<'_> {
    /// What that opens, by the access documents of `rules`.
    #[must_use]
    pub fn acl<'a>(&'a self, rules: &'a Rules) -> Acl<'a> {
        rules.acl.of(self.namespace, &self.policies).and(&self.accounts)
    }
}

impl Bearer {
    /// The one token of ours; none for the token of a service account.
    #[must_use]
    pub fn token(&self) -> Option<&Arc<OwnToken>> {
        match self {
            Self::Token(token) => Some(token),
            Self::Account(_) => None,
        }
    }

    /// Who vouches for it.
    #[must_use]
    pub fn issuer(&self) -> &IssuerName {
        match self {
            Self::Token(token) => token.issuer(),
            Self::Account(account) => &account.issuer,
        }
    }

    /// The subject, with the issuer's name before the first `:`.
    #[must_use]
    pub fn subject(&self) -> &str {
        match self {
            Self::Token(token) => token.subject(),
            Self::Account(account) => &account.subject,
        }
    }

    /// The namespace that it opens; none for the root.
    #[must_use]
    pub fn namespace(&self) -> Option<&Namespace> {
        match self {
            Self::Token(token) => token.namespace(),
            Self::Account(account) => account.acting.namespace(),
        }
    }

    /// Its policies: what it says itself, before access documents and accounts are asked.
    #[must_use]
    pub fn policies(&self) -> &[PolicyName] {
        match self {
            Self::Token(token) => token.policies(),
            Self::Account(account) => &account.policies,
        }
    }

    /// The `jti` of a token of ours, or the id of a service account's token.
    #[must_use]
    pub fn token_id(&self) -> &str {
        match self {
            Self::Token(token) => token.jti(),
            Self::Account(account) => &account.token_id,
        }
    }

    /// Says in `trail` who it is.
    pub(super) fn note(&self, trail: &mut Trail) {
        trail.issuer(self.issuer());
        trail.subject(self.subject());
        trail.presented(self.token_id(), self.token().map(|token| token.decision()));
        trail.policies(self.policies());
        if let Self::Account(account) = self {
            trail.account(&account.acting.id().to_string());
        }
    }

    /// When it was made.
    #[must_use]
    pub fn issued_at(&self) -> Timestamp {
        match self {
            Self::Token(token) => token.issued_at(),
            Self::Account(account) => account.acting.token_created().unwrap_or(Timestamp::from_secs(0)),
        }
    }

    /// Its end.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        match self {
            Self::Token(token) => token.expires_at(),
            Self::Account(account) => account.acting.expires(),
        }
    }
}

impl Counter {
    /// Whoever presents `text`: a token of ours, if it is good now, or the token of a service account.
    ///
    /// # Errors
    /// [`NotGood`]; where it [`may_pass`](NotGood::may_pass), nobody can tell at the moment.
    pub(super) async fn bearer_on(&self, trail: &mut Trail, text: &str) -> Result<Bearer, NotGood> {
        if !AccountToken::is_meant(text.as_bytes()) {
            return self.standing_token(text).await.map(Bearer::Token);
        }
        let acting = self.authenticated(trail, text).await?;
        let issuer = IssuerName::of_service_accounts();
        Ok(Bearer::Account(AccountBearer {
            policies: acting.policies(),
            subject: format!("{issuer}:{}", acting.subject()),
            token_id: acting.token_id().map_or_else(String::new, |id| id.to_string()),
            issuer,
            acting,
        }))
    }

    /// Our own token, if it is good now: signed by a published key, in its times, not revoked, and what it came from stands
    /// unchanged: deleting or changing a rule ends what it granted, and so does a service account that is changed, disabled,
    /// deleted or over for whoever acts as it.
    ///
    /// # Errors
    /// [`NotGood`].
    pub(super) async fn standing_token(&self, text: &str) -> Result<Arc<OwnToken>, NotGood> {
        let now = self.clock().now();
        // Only of a token that we made is there anything to be known. Garbage stays garbage, and is charged as that.
        let token = self.own_tokens().verify(text, now).map_err(|_| NotGood::Token)?;
        if self.is_blind() {
            return Err(NotGood::RevocationsUnknown);
        }
        if self.revocations().is_revoked(token.jti(), now) {
            return Err(NotGood::Token);
        }
        self.stands(&token).await?;
        Ok(token)
    }

    /// Whether what a token of ours came from stands.
    ///
    /// # Errors
    /// [`NotGood`] where it does not.
    pub(super) async fn stands(&self, token: &OwnToken) -> Result<(), NotGood> {
        if token.issuer().is_of_service_accounts() {
            let name = token.rule().strip_prefix("service-account/").and_then(|name| AccountName::new(name).ok());
            let acting = self.acting(token.namespace(), &name.ok_or(NotGood::Token)?).await?;
            let is_the_same = acting.digest().to_string() == token.rule_digest();
            return if is_the_same { Ok(()) } else { Err(NotGood::Token) };
        }
        let rules = self.rules();
        if !rules.policies.rule_is_current(token.target().as_str(), token.rule(), token.rule_digest()) {
            return Err(NotGood::Token);
        }
        for name in token.policies().iter().filter_map(PolicyName::account) {
            drop(self.acting(token.namespace(), &name).await?);
        }
        Ok(())
    }

    /// What a bearer may do at this moment. What the service account that it acts as may do is asked now, and was not put into
    /// the token: a change counts within two seconds.
    ///
    /// # Errors
    /// [`NotGood`] where an account that it acts as is not in order.
    pub async fn standing<'b>(&self, bearer: &'b Bearer) -> Result<Standing<'b>, NotGood> {
        let namespace = bearer.namespace();
        let (mut policies, mut accounts) = (Cow::Borrowed(bearer.policies()), vec![]);
        let mut act = |acting: &ActingAccount| {
            accounts.push(AccountRules::new(acting.name(), acting.namespace(), acting.grants(), self.mounts()));
            let more = acting.grants().policies.iter().filter(|name| !policies.contains(name)).cloned();
            let more: Vec<PolicyName> = more.collect();
            policies.to_mut().extend(more);
        };
        match bearer {
            Bearer::Account(bearer) => act(&bearer.acting),
            Bearer::Token(token) => {
                for name in token.policies().iter().filter_map(PolicyName::account) {
                    act(&self.acting(namespace, &name).await?);
                }
            }
        }
        Ok(Standing { namespace, policies, accounts })
    }

    /// Whoever acts as that account by a rule.
    ///
    /// # Errors
    /// [`NotGood`].
    pub(super) async fn acting(
        &self,
        namespace: Option<&Namespace>,
        name: &AccountName,
    ) -> Result<ActingAccount, NotGood> {
        Ok(self.service_accounts()?.acting(namespace, name, self.clock().now()).await?)
    }

    /// # Errors
    /// [`NotGood::NoAccounts`].
    pub(super) fn service_accounts(&self) -> Result<&Arc<Accounts>, NotGood> {
        self.accounts().ok_or(NotGood::NoAccounts)
    }
}
