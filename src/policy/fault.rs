//! Why an evaluation failed, in words that hold nothing of the token.
//!
//! Decides what of `cel`'s errors an operator may read: they carry the values that they failed on, and the reason of a
//! denial goes to logs and audit records.

use cel::ExecutionError;

/// Why an evaluation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A claim that the token does not have.
    #[error("the token has no claim `{0}`")]
    NoSuchClaim(Box<str>),
    /// A member that an object does not have. Named where the expression names it.
    #[error("no such member{}", named(.0.as_deref()))]
    NoSuchMember(Option<Box<str>>),
    /// An index past the end of a list.
    #[error("index out of bounds")]
    OutOfBounds,
    /// An operator or function that has no meaning for these types.
    #[error("`{function}` has no meaning for {types}")]
    NoOverload {
        /// The operator or function.
        function: Box<str>,
        /// The types of its operands.
        types: Box<str>,
    },
    /// Values that have no order.
    #[error("values that cannot be compared")]
    NotComparable,
    /// A value where another type was needed.
    #[error("a value of type `{got}` where {want} was needed")]
    Type {
        /// The type of the value.
        got: Box<str>,
        /// What was needed.
        want: Box<str>,
    },
    /// Overflow, or division by zero.
    #[error("overflow, or division by zero")]
    Arithmetic,
    /// A function that refused its arguments.
    #[error("`{0}` refused its arguments")]
    Function(Box<str>),
    /// A text that is too long to be matched.
    #[error("a text of more than {} bytes is not matched", super::limits::SUBJECT_BYTES)]
    SubjectTooLong,
    /// The evaluator panicked.
    #[error("the evaluator failed")]
    Panicked,
    /// Anything else.
    #[error("the evaluation failed")]
    Other,
}

fn named(name: Option<&str>) -> String {
    name.map(|name| format!(" `{name}`")).unwrap_or_default()
}

impl Fault {
    /// What `error` may tell of the expression `source`.
    pub(super) fn of(error: &ExecutionError, source: &str) -> Self {
        match error {
            ExecutionError::UndeclaredReference(name) => match claim(name) {
                Some(claim) => Self::NoSuchClaim(claim.into()),
                None => Self::Other,
            },
            // The key may itself be a claim's value: `table[claims.ref]`. What stands in the policy may be told.
            ExecutionError::NoSuchKey(key) => {
                Self::NoSuchMember(Some(key.as_str()).filter(|key| source.contains(key)).map(Box::from))
            }
            ExecutionError::IndexOutOfBounds(_) => Self::OutOfBounds,
            ExecutionError::NoSuchOverload(overload) => Self::NoOverload {
                function: operator(overload.function()).into(),
                types: overload.argument_types().join(", ").into(),
            },
            ExecutionError::UnsupportedBinaryOperator(name, left, right) => Self::NoOverload {
                function: (*name).into(),
                types: format!("{}, {}", left.type_of(), right.type_of()).into(),
            },
            ExecutionError::ValuesNotComparable(..) => Self::NotComparable,
            ExecutionError::UnexpectedType { got, want } => {
                Self::Type { got: got.as_str().into(), want: want.as_str().into() }
            }
            ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) | ExecutionError::Overflow(..) => {
                Self::Arithmetic
            }
            ExecutionError::FunctionError { function, .. } if function == super::language::MATCH => {
                Self::SubjectTooLong
            }
            ExecutionError::FunctionError { function, .. } => Self::Function(function.as_str().into()),
            _ => Self::Other,
        }
    }
}

/// The claim that a rewritten variable stands for.
fn claim(variable: &str) -> Option<&str> {
    variable.strip_prefix("@claims[\"")?.strip_suffix("\"]")
}

/// `&&` for `_&&_`.
fn operator(name: &str) -> &str {
    match name {
        super::language::MATCH => "matches",
        other => other.trim_matches(|c| matches!(c, '_' | '@')),
    }
}
