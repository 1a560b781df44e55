//! What stands under and below a fault: a few words, and what to do. Decides nothing.

use super::Problem;

impl Problem {
    /// A few words to stand under the text.
    pub(super) const fn label(&self) -> Option<&'static str> {
        Some(match self {
            Self::Missing(_) => "something is missing here",
            Self::TooMany { .. } | Self::TooLong { .. } | Self::TooLarge => "too much",
            Self::Name { .. } => "not such a name",
            Self::Duplicate { .. } | Self::TakenTarget { .. } => "taken",
            Self::UnknownIssuer(_) | Self::UnknownMountIssuer(_) => "not configured",
            Self::SharedMountIssuer { .. } => "whose tokens?",
            Self::Message { .. } => "not so in OpenBao",
            Self::Ttl => "out of bounds",
            Self::TooCostly { .. } => "one rule too many",
            Self::TooCostlyRole { .. } => "too much for one login",
            Self::Case { .. } => "not well formed",
            Self::CaseFailed { .. } => "came out otherwise",
            Self::Expression { error, .. } => error.label(),
            Self::Unreadable(_) | Self::Shape(_) | Self::Found { .. } | Self::Internal(_) => return None,
        })
    }

    /// What to do about it, whatever stands around it.
    pub(super) const fn help(&self) -> Option<&'static str> {
        Some(match self {
            Self::Unreadable(_) => "give the process the right to read it, or take it out of the policy directory",
            Self::TooLarge | Self::TooMany { .. } => {
                "split the rules over several targets, or what they say into fewer"
            }
            Self::TooLong { .. } => "say it in fewer words",
            Self::Duplicate { .. } => "give one of them another name, or take it out",
            Self::TakenTarget { .. } => {
                "put the rules of one target into one file, or ask for one of them by another name"
            }
            Self::UnknownMountIssuer(_) => {
                "add an issuer with this `url` to the configuration's `issuers`: keys are never taken from a role's mount"
            }
            Self::SharedMountIssuer { .. } => {
                "write a policy of cambio's own, whose rules name their issuer: `cambio policy import` turns the role into one"
            }
            Self::Message { .. } => {
                "the fields and their types are those of OpenBao's `pb.Auth`: `docs/openbao-roles.md`"
            }
            Self::UnknownIssuer(_) => "configure the issuer, or name one that is",
            Self::Ttl => "write e.g. `10m`, `1h30m`",
            Self::TooCostly { .. } | Self::TooCostlyRole { .. } => {
                "ask what is cheap and most often false first, and for one element with `in` instead of a walk through all"
            }
            Self::CaseFailed { .. } => {
                "either the rules or the case say what was not meant: `cambio policy eval` shows the walk"
            }
            _ => return None,
        })
    }
}
