//! Which account a path means, and where it is in access documents.

use super::call::{Call, NOTHING};
use super::refusal::Refusal;
use crate::accounts::{Account, AccountError, AccountId, Accounts, FullName};
use crate::exchange::{Action, Administrator, Permitted, ROOT};
use crate::http::rest::problem::Problem;
use crate::identity::{AccountName, Namespace};
use crate::secrets::acl::Capability;

/// An action on an account that is there.
pub(super) struct OnAccount<'a> {
    pub(super) permitted: Permitted<'a>,
    pub(super) account: Account,
    pub(super) accounts: &'a Accounts,
}

/// What of an account an action is about. Its word comes first in a path: after the name, it could be the name of an account
/// in a namespace that is called as this account is, and whoever may make tokens of one could make the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The account.
    Account,
    /// Its tokens.
    Tokens,
    /// What waits for approval.
    Approvals,
}

impl Part {
    const fn word(self) -> &'static str {
        match self {
            Self::Account => "service-accounts",
            Self::Tokens => "tokens",
            Self::Approvals => "approvals",
        }
    }

    /// Where that is: the namespace, `@root` for the root, and the account's name.
    pub(super) fn place(self, namespace: Option<&Namespace>, name: &str) -> String {
        format!("{}/{}/{name}", self.word(), namespace.map_or(ROOT, Namespace::as_str))
    }
}

/// A namespace of a request; `@root` and nothing are the root.
pub(super) fn namespace(text: &str) -> Result<Option<Namespace>, Problem> {
    match text.trim_matches('/') {
        "" | ROOT => Ok(None),
        name => Namespace::new(name).map(Some).map_err(|error| Problem::bad_request(format!("`namespace`: {error}"))),
    }
}

/// Where the page before ended: a place, and not an account, which may have been removed meanwhile.
pub(super) fn page_after(call: &Call, only: Option<&Option<Namespace>>) -> Result<Option<FullName>, Problem> {
    let Some(text) = call.parameter("cursor") else { return Ok(None) };
    let is_within = |last: &FullName| only.is_none_or(|only| *only == last.namespace);
    let last = FullName::parse(text).filter(is_within);
    last.map(Some).ok_or_else(|| Problem::bad_request("`cursor` is none of this list"))
}

/// Whether `who` may do this to the account that the path names. What is not there is looked for no longer than what is not
/// allowed: whoever may not do it to any account of that place learns neither.
pub(super) async fn on_account<'a>(
    call: &Call,
    who: Administrator<'a>,
    action: &'static str,
    needs: Capability,
    part: Part,
) -> Result<OnAccount<'a>, Refusal> {
    let named = call.segment(1);
    let found = match who.counter().accounts() {
        Some(accounts) => find(accounts, named).await,
        None => Err(AccountError::NotFound("service account")),
    };
    let place = match &found {
        Ok(account) => part.place(account.namespace.as_ref(), account.name.as_str()),
        // What is nobody's has no namespace, so that only whoever may do it in all of them learns that.
        Err(_) => format!("{}/{named}", part.word()),
    };
    let body = if matches!(needs, Capability::Read | Capability::List) { &*NOTHING } else { &call.members.0 };
    let mut permitted = who.permit(Action { name: action, path: &place, needs, body }).await?;
    let Some(accounts) = permitted.accounts() else { return Err(Refusal::off(permitted)) };
    match found {
        Ok(account) => {
            permitted.about(account.namespace.as_ref());
            Ok(OnAccount { permitted, account, accounts })
        }
        Err(error) => Err(Refusal::account(permitted, &error)),
    }
}

/// By its id, or by namespace and name with a slash between them (`%2F` in the path); a name alone is in the root.
async fn find(accounts: &Accounts, named: &str) -> Result<Account, AccountError> {
    let missing = || AccountError::NotFound("service account");
    if let Some(id) = AccountId::parse(named) {
        return accounts.show(id).await;
    }
    let (namespace, name) = named.rsplit_once('/').unwrap_or((ROOT, named));
    let namespace = self::namespace(namespace).map_err(|_| missing())?;
    let name = AccountName::new(name).map_err(|_| missing())?;
    accounts.show_named(namespace.as_ref(), &name).await
}
