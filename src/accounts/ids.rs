//! The ids of accounts and of their tokens: ordered by time, unguessable, never used again.

use std::fmt;

use crate::clock::Timestamp;
use crate::identity::DecisionId;
use crate::jose::{NoRandomness, random};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(DecisionId);

        impl $name {
            /// A new one.
            ///
            /// # Errors
            /// [`NoRandomness`].
            pub fn new(now: Timestamp) -> Result<Self, NoRandomness> {
                Ok(Self(DecisionId::new(now, random()?)))
            }

            /// Reads the text form, 36 characters with hyphens.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                DecisionId::parse(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }
    };
}

id! {
    /// The id of a service account, a UUID version 7. A deleted account's name may come again; its id does not.
    AccountId
}

id! {
    /// The id of a service account's token, a UUID version 7. Not the token: it may be shown to whoever may see the account.
    AccountTokenId
}
