//! What is odd about a role, and whether its cases come out as they say.
//!
//! Decides which warnings a role has: where OpenBao is unsafe, and where a program says something that has no effect.
//! What its `.cases.yaml` accepts is marked. Refuses to refuse: what OpenBao takes, cambio loads.

use std::sync::Arc;

use cel::common::ast::{Expr, LiteralValue};
use cel::parser::Expression;

use super::denied;
use super::documents::Documents;
use super::issuer;
use super::messages::{self, AUTH, LEASE};
use crate::policy::cases::{CaseOutcome, resolve_for};
use crate::policy::catalog::Catalog;
use crate::policy::check::{Type, expressions};
use crate::policy::code::Code;
use crate::policy::document::{AcceptDocument, Place, place};
use crate::policy::finding::{Finding, Severity};
use crate::policy::language::{Language, NOW, OPERATION, PLAIN};
use crate::policy::problem::{Faults, Problem};
use crate::policy::rehearsal::RehearsedCase;
use crate::policy::rule::{Clause, Rule, Target};
use crate::trust::ClaimType;

/// Runs a role's cases, and checks it.
pub(in crate::policy) fn judge(
    documents: &Documents,
    target: &Target,
    language: &Language,
    catalog: &Catalog,
    faults: &mut Faults,
) -> (Vec<CaseOutcome>, Vec<Finding>, Vec<RehearsedCase>) {
    let usual = target.issuers().next();
    let mut own = Faults::of(&documents.cases_file);
    let cases = resolve_for(&documents.cases.cases, usual, &mut own);
    let run = cases.iter().map(|case| case.run(language, target));
    let outcomes = run.map(|outcome| CaseOutcome { file: Arc::clone(&documents.cases_file), ..outcome }).collect();
    let mut findings = vec![];
    if let Some(rule) = target.rules.first() {
        Check { documents, target, rule, catalog, file: &target.file, found: &mut findings }.run();
    }
    accept(documents, &mut findings, &mut own);
    findings.sort_by(|a, b| a.order().cmp(&b.order()));
    faults.extend(own);
    let file = &documents.cases_file;
    let cases = cases.iter().map(|case| RehearsedCase { file: Arc::clone(file), ..case.rehearsed(target) }).collect();
    (outcomes, findings, cases)
}

/// Fields of `pb.Auth` that OpenBao's core writes itself.
const IDLE: [&str; 5] = ["client_token", "accessor", "token_policies", "identity_policies", "entity_id"];
/// Fields of `pb.Auth` that say how long a token lives; `explicit_max_ttl` only caps it.
const LIFETIMES: [&str; 2] = ["lease_options", "period"];
/// Fields of `pb.Auth` that bind a token in a way that nobody holds yet.
const UNHELD: [&str; 2] = ["bound_cidrs", "num_uses"];

struct Check<'a> {
    documents: &'a Documents,
    target: &'a Target,
    rule: &'a Rule,
    catalog: &'a Catalog,
    file: &'a Arc<str>,
    found: &'a mut Vec<Finding>,
}

impl Check<'_> {
    fn run(&mut self) {
        self.audience();
        self.message();
        self.issuer();
        self.types();
        self.denied();
        let Some(program) = self.rule.program.as_deref() else { return };
        let variables = self.rule.lets.iter().map(|variable| &variable.clause);
        let conditions = program.questions.iter().map(|question| &question.condition);
        let answers: Vec<&Clause> =
            program.questions.iter().map(|question| &question.answer).chain([&program.last]).collect();
        for clause in variables.chain(conditions).chain(answers.iter().copied()) {
            self.clause(clause);
        }
        answers.into_iter().for_each(|answer| self.answer(answer));
    }

    fn say(&mut self, code: Code, place: Place, message: &str, help: &str) {
        let finding = Finding::new(code, self.file, place, message).in_rule(self.rule.name()).helped(help);
        self.found.push(finding);
    }

    fn audience(&mut self) {
        let role = &self.documents.role;
        if role.bound_audiences.is_empty() && !self.rule.claims().any(|claim| claim == "aud") {
            self.say(
                Code::NoAudience,
                role.expression.place,
                "nothing asks for whom a token is meant: OpenBao takes every token of the issuer, whatever its `aud`",
                "name the audience in `bound_audiences`; cambio also holds tokens to the audience of its issuer",
            );
        }
    }

    fn message(&mut self) {
        if let Some(message) = self.documents.role.message.as_ref().filter(|message| !message.value.is_empty()) {
            self.say(
                Code::IdleMessage,
                message.place,
                "nobody ever reads `message`: OpenBao stores it and does not say it at a login",
                "answer a text in the program's expression instead",
            );
        }
    }

    fn issuer(&mut self) {
        if issuer::has_urls(self.catalog) {
            return;
        }
        let url = self.documents.config.issuer().unwrap_or_default();
        let message = format!("the issuer `{url}` is guessed: without a configuration no issuer's url is known");
        let mut finding = Finding::new(Code::GuessedIssuer, self.file, Place::default(), message)
            .in_rule(self.rule.name())
            .helped("give `--config`, so that the mount's `bound_issuer` is looked for among your `issuers`");
        // It says something about this run and nothing about the file.
        finding.accepted = Some("no configuration was given".to_owned());
        self.found.push(finding);
    }

    /// What the checker of types says, as warnings: OpenBao checks nothing before a login. Numbers are another kind there.
    fn types(&mut self) {
        let issuer = self.target.issuers().next();
        let schema = issuer.and_then(|issuer| self.catalog.find(issuer)).and_then(|facts| facts.schema.as_deref());
        let role = &self.documents.role;
        let variables: Vec<(&str, &str)> =
            role.variables.iter().map(|(name, source)| (name.value.as_str(), source.value.as_str())).collect();
        let names = [(NOW, Type::Timestamp), (OPERATION, Type::String)];
        let checked = expressions(schema, &names, &variables, &role.expression.value);
        for (index, issue) in checked.issues.into_iter().filter(|(_, issue)| issue.code != Code::NumberKind) {
            let source = role.variables.get(index).map_or(&role.expression, |(_, source)| source);
            let place = source.within(&self.documents.text, issue.range);
            let finding = Finding::new(issue.code, self.file, place, issue.message).in_rule(self.rule.name());
            let (severity, label, help) = (Severity::Warning, issue.label, issue.help);
            self.found.push(Finding { severity, label, help, ..finding });
        }
    }

    /// Grants that a program writes out and nobody ever gets.
    fn denied(&mut self) {
        let role = &self.documents.role;
        for source in role.variables.iter().map(|(_, source)| source).chain([&role.expression]) {
            for denied in denied::values(&source.value) {
                let place = source.within(&self.documents.text, denied.range);
                self.say(Code::DeniedGrant, place, &denied.message, &denied.help);
            }
        }
    }

    /// What is odd wherever it stands.
    fn clause(&mut self, clause: &Clause) {
        let mut found = vec![];
        messages::literals(clause.code.tree(), AUTH, &mut found);
        for auth in found {
            let has = |names: &[&str]| messages::fields(auth).find(|(name, _)| names.contains(name));
            if has(&LIFETIMES).is_none() {
                self.say(
                    Code::NoLease,
                    clause.place,
                    "this `pb.Auth` says nothing of how long a token lives: OpenBao gives it 32 days",
                    "add `lease_options: pb.LeaseOptions{TTL: 300000000000, MaxTTL: 300000000000, issue_time: now}`; \
                     cambio gives 10 minutes, and never more than is left of the workload's token",
                );
            }
            for (field, _) in messages::fields(auth) {
                if IDLE.contains(&field) {
                    let message = format!("`{field}` has no effect: OpenBao's core writes it itself");
                    self.say(Code::IdleField, clause.place, &message, "leave it out");
                }
                if UNHELD.contains(&field) {
                    let message = format!("`{field}` binds a token in a way that cambio's tokens are not held to");
                    let help = "cambio denies such a grant rather than hand out a token without its bounds";
                    self.say(Code::Unheld, clause.place, &message, help);
                }
            }
        }
        let mut found = vec![];
        messages::literals(clause.code.tree(), LEASE, &mut found);
        for lease in found {
            if messages::fields(lease).all(|(name, _)| name != "issue_time") {
                self.say(
                    Code::NoIssueTime,
                    clause.place,
                    "a lease without `issue_time` is an error at every login",
                    "add `issue_time: now`",
                );
            }
        }
        self.numbers(clause);
    }

    /// `string(claims['n'])` of a claim that is a number in the issuer's tokens.
    fn numbers(&mut self, clause: &Clause) {
        let mut names = vec![];
        texts_of_claims(clause.code.tree(), &mut names);
        for name in names {
            let schemas = self.target.issuers().filter_map(|issuer| self.catalog.find(issuer)?.schema.as_ref());
            let by_schema = schemas
                .filter_map(|schema| schema.claim(&name))
                .any(|claim| matches!(claim.ty(), ClaimType::Int | ClaimType::Double));
            if by_schema {
                let message =
                    format!("`{name}` is a number, and OpenBao writes a number of a million or more as `1e+06`");
                let help = "compare it as a number, or with `string(int(..))`";
                self.say(Code::NumberText, clause.place, &message, help);
            }
        }
    }

    /// What can't be an answer.
    fn answer(&mut self, answer: &Clause) {
        let odd = match &answer.code.tree().expr {
            Expr::Literal(LiteralValue::Boolean(truth)) => *truth.inner(),
            Expr::Literal(LiteralValue::String(_)) => false,
            Expr::Literal(_) | Expr::List(_) | Expr::Map(_) => true,
            Expr::Struct(message) => message.type_name != AUTH,
            _ => false,
        };
        if odd {
            self.say(
                Code::NoAnswer,
                answer.place,
                "this answer is an error at every login: only `false`, a text and `pb.Auth` are answers, and `true` is none",
                "answer `pb.Auth{policies: [..]}` to grant, or a text to say why not",
            );
        }
    }
}

/// The claims whose values are directly turned into texts.
fn texts_of_claims(tree: &Expression, found: &mut Vec<String>) {
    if let Expr::Call(call) = &tree.expr
        && call.func_name == "string"
        && let Some(Expr::Ident(variable)) = call.args.first().map(|argument| &plain(argument).expr)
        && let Some(name) = variable.strip_prefix("@claims[\"").and_then(|name| name.strip_suffix("\"]"))
    {
        found.push(name.to_owned());
    }
    messages::each_child(tree, &mut |child| texts_of_claims(child, found));
}

/// What the rewriting put a call around.
fn plain(tree: &Expression) -> &Expression {
    match &tree.expr {
        Expr::Call(call) if call.func_name == PLAIN => call.args.first().unwrap_or(tree),
        _ => tree,
    }
}

/// Marks what the cases' file accepts, and says what it accepts for nothing.
fn accept(documents: &Documents, findings: &mut Vec<Finding>, faults: &mut Faults) {
    for AcceptDocument { finding, because } in &documents.cases.accept {
        let at = place(finding);
        let is_warning = |code: &Code| code.severity() == Severity::Warning || code.id().starts_with("P02");
        let Some(code) = Code::find(&finding.value).filter(is_warning) else {
            faults.add(at, Problem::Shape(format!("`{}` is no warning that could be accepted", finding.value)));
            continue;
        };
        if because.value.trim().is_empty() {
            faults.add(place(because), Problem::Missing("an acceptance needs a reason"));
        }
        let mut idle = true;
        for found in findings.iter_mut().filter(|found| found.code == code && found.severity == Severity::Warning) {
            found.accepted = Some(because.value.clone());
            idle = false;
        }
        if idle {
            let message = format!("`{}` is accepted and not found", finding.value);
            findings.push(Finding::new(Code::IdleAcceptance, &documents.cases_file, at, message));
        }
    }
}
