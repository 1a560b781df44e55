//! One expression on its own, outside of any rule.
//!
//! Decides nothing: it compiles as a rule's expressions do and evaluates as they do. It is how the conformance and
//! differential tests, the fuzz target and the operator's tools reach the language without a policy around it.

use std::sync::{Arc, OnceLock};
use std::thread;

use cel::common::value::{CowVal, Val};
use cel::{ExecutionError, Value};
use serde_json::Map;

use super::claims::Claims;
use super::compile::{CompileError, Compiler, Program};
use super::cost::CLAIM;
use super::language::{Dialect, Language};
use super::limits::COMPILER_STACK;
use super::scope::Scope;
use crate::clock::Timestamp;

/// A compiled expression with the variables that it may see.
#[derive(Debug)]
pub struct Expression {
    dialect: Dialect,
    program: Arc<Program>,
    steps: u64,
}

impl Expression {
    /// Compiles `source`, in which `variables` are visible besides those of the dialect. Whatever the text is, this
    /// neither panics nor runs out of stack: it has a thread of its own.
    ///
    /// # Errors
    /// [`CompileError`] names the first fault.
    pub fn compile(source: &str, dialect: Dialect, variables: &[&str]) -> Result<Self, CompileError> {
        let compile = || {
            let program = Compiler::default().compile(source, dialect, variables)?;
            let sizes: Vec<_> = variables.iter().map(|name| (*name, CLAIM)).collect();
            let steps = program.bound(&sizes)?.steps.saturating_add(program.conversion());
            Ok(Self { dialect, program, steps })
        };
        thread::scope(|scope| {
            let compiler = thread::Builder::new().stack_size(COMPILER_STACK).spawn_scoped(scope, compile);
            compiler.ok().and_then(|thread| thread.join().ok()).unwrap_or(Err(CompileError::TooDeep))
        })
    }

    /// The most steps that it takes, where each variable is as large as a claim may be.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// Evaluates it on `claims` and on the values of its variables, and hands the value to `read`. `None` where the
    /// claims exceed their bounds, or the environment is out of order.
    pub fn evaluate<'v, R>(
        &'v self,
        claims: &'v Map<String, serde_json::Value>,
        variables: impl IntoIterator<Item = (&'v str, Box<dyn Val + 'v>)>,
        now: Timestamp,
        read: impl FnOnce(Result<&dyn Val, ExecutionError>) -> R,
    ) -> Option<R> {
        let language = language(self.dialect)?;
        let claims = Claims::bounded(claims).ok()?;
        let scope = Scope::over(self.program.claims(), self.program.patterns(), language, claims, "issuer", now);
        let mut context = language.context();
        context.set_variable_resolver(&scope);
        for (name, value) in variables {
            context.add_variable_as_val(name, value);
        }
        let value = Value::resolve_val(self.program.tree(), &context);
        Some(match &value {
            Ok(value) => read(Ok(CowVal::as_ref(value))),
            Err(error) => read(Err(error.clone())),
        })
    }
}

fn language(dialect: Dialect) -> Option<&'static Language> {
    static NATIVE: OnceLock<Option<Language>> = OnceLock::new();
    static ROLE: OnceLock<Option<Language>> = OnceLock::new();
    let known = match dialect {
        Dialect::Native => &NATIVE,
        Dialect::Role => &ROLE,
    };
    known.get_or_init(|| Language::new(dialect).ok()).as_ref()
}
