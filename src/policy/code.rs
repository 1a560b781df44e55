//! The codes of findings: stable, once given, for ever.
//!
//! Decides which kinds of findings exist. Each has a page under `docs/findings/`, with an example that has it and one
//! that does not; a test runs both.

use std::fmt;

use super::finding::Severity;

macro_rules! codes {
    ($($variant:ident = $id:literal, $name:literal, $severity:ident, $title:literal;)*) => {
        /// A kind of finding.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// `P` and four digits: `P00` the file, `P01` expressions, `P02` types, `P03` habits that let people in, `P04`
            /// OpenBao's roles.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }

            /// A name that says what it is, in kebab case.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// One line about it.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// How bad it usually is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }
        }
    };
}

codes! {
    // The file.
    Unreadable = "P0001", "unreadable", Error, "a file that can't be read";
    Shape = "P0002", "shape", Error, "not the shape of a policy file";
    Limit = "P0003", "limit", Error, "more of something than is allowed";
    Name = "P0004", "name", Error, "a name outside its grammar";
    Duplicate = "P0005", "duplicate", Error, "the same name twice where it has to be unique";
    UnknownIssuer = "P0006", "unknown-issuer", Error, "an issuer that is not configured";
    Case = "P0007", "case", Error, "a case that is not well formed";
    CaseFailed = "P0008", "case-failed", Error, "a case that came out otherwise";
    Internal = "P0009", "internal", Error, "the machinery failed";
    // Expressions.
    Syntax = "P0101", "syntax", Error, "no CEL";
    TooComplex = "P0102", "too-complex", Error, "an expression that is too long, too deep or too nested";
    UnknownName = "P0103", "unknown-name", Error, "a variable that does not exist";
    UnknownFunction = "P0104", "unknown-function", Error, "a function that does not exist here";
    WrongCall = "P0105", "wrong-call", Error, "a function called in another way, or with another number of arguments";
    NotLiteral = "P0106", "not-literal", Error, "a pattern, needle or separator that is computed";
    BadPattern = "P0107", "bad-pattern", Error, "a pattern that does not compile";
    HiddenName = "P0108", "hidden-name", Error, "a variable that hides another name";
    Unsupported = "P0109", "unsupported", Error, "a part of CEL that policies do not use";
    TooLarge = "P0110", "too-large", Error, "a value that could outgrow its bound";
    TooCostly = "P0111", "too-costly", Error, "rules that could take too long together";
    // Types.
    UnknownClaim = "P0201", "unknown-claim", Error, "a claim that the platform's tokens don't have";
    UnknownMember = "P0202", "unknown-member", Error, "a member that a claim does not have";
    WrongOperand = "P0203", "wrong-operand", Error, "an operator that has no meaning for these types";
    WrongArgument = "P0204", "wrong-argument", Error, "an argument of a type that the function does not take";
    NotABool = "P0205", "not-a-bool", Error, "a condition that is no bool";
    NotAName = "P0206", "not-a-name", Error, "a policy or a metadata value that is no string";
    Unguarded = "P0207", "unguarded", Error, "a claim that may be absent, read without asking first";
    NeverEqual = "P0208", "never-equal", Error, "a comparison that can never be true";
    NumberKind = "P0209", "number-kind", Error, "an int where tokens have a double, or the reverse";
    // Habits that let people in.
    Vacuous = "P0301", "vacuous", Warning, "a condition that an empty or absent list meets";
    NotEqualAbsent = "P0302", "not-equal-absent", Warning, "`!=` on a claim that may be absent";
    LoosePattern = "P0303", "loose-pattern", Warning, "a pattern that is not anchored, or matches more than it seems";
    WidePrefix = "P0304", "wide-prefix", Warning, "a prefix, suffix or substring that others can have too";
    RecyclableName = "P0305", "recyclable-name", Warning, "a name that somebody else can register, without its id";
    ForkExposure = "P0306", "fork-exposure", Warning, "code from outside can run with this identity";
    AnyOwner = "P0307", "any-owner", Warning, "nothing says whose workload it is";
    CallerChosen = "P0308", "caller-chosen", Warning, "authority that rests on what the caller chose";
    Unpinned = "P0309", "unpinned", Warning, "a protected grant without an environment or a ref that is pinned";
    ShadowedRule = "P0310", "shadowed-rule", Warning, "a rule that an earlier one leaves nothing to";
    NeverMatches = "P0311", "never-matches", Warning, "a rule that can never match";
    SameGrant = "P0312", "same-grant", Warning, "two rules that grant the same for the same";
    UnhexedName = "P0313", "unhexed-name", Warning, "a policy name built from a claim without `hex`";
    LongTtl = "P0314", "long-ttl", Warning, "a ttl beyond the issuer's tokens";
    NoDenialCase = "P0315", "no-denial-case", Warning, "a target with no case that is denied";
    IdleAcceptance = "P0316", "idle-acceptance", Warning, "an acceptance of something that is not found";
    // OpenBao's roles.
    NoAudience = "P0401", "no-audience", Warning, "a role that takes tokens meant for anybody";
    NoLease = "P0402", "no-lease", Warning, "a role that does not say how long its tokens live";
    NoAnswer = "P0403", "no-answer", Warning, "an answer that neither grants nor says why not";
    IdleMessage = "P0404", "idle-message", Warning, "a message that is never said";
    Unheld = "P0405", "unheld", Warning, "a grant whose bounds cambio does not hold";
    IdleField = "P0406", "idle-field", Warning, "a field of `pb.Auth` that has no effect";
    NoIssueTime = "P0407", "no-issue-time", Warning, "a lease without the `issue_time` that OpenBao needs";
    WrongMessage = "P0408", "wrong-message", Error, "a message with a field that does not exist, or of another type";
    GuessedIssuer = "P0409", "guessed-issuer", Warning, "a role whose issuer is only guessed";
    NumberText = "P0410", "number-text", Warning, "a number as a text, which has an exponent from a million on";
    DeniedGrant = "P0411", "denied-grant", Warning, "a grant that is refused at every login";
}

impl Code {
    /// The code with that id or name.
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.id() == text || code.name() == text)
    }

    /// Its page, relative to the repository.
    #[must_use]
    pub fn page(self) -> String {
        format!("docs/findings/{}.md", self.id())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}
