//! The messages that a program may make: OpenBao's `pb.Auth`, `pb.LeaseOptions` and `logical.Alias`.
//!
//! Decides which fields there are and what values they take. Refuses to know what a field does to a login. A field that
//! does not exist, and a literal of a wrong type, are found when the role is loaded, as OpenBao finds them when a role is
//! written; what only a token can show is an error of the evaluation, which denies.

use std::collections::BTreeMap;

use cel::common::ast::{EntryExpr, Expr, LiteralValue, StructExpr};
use cel::common::types::{CelBool, CelInt, CelList, CelMap, CelString, CelStruct, CelUInt, Kind, Type};
use cel::common::value::{CowVal, Val};
use cel::parser::Expression;
use cel::{DeclarationError, Env, ExecutionError, StructType};

/// The message that a login is made from.
pub(in crate::policy) const AUTH: &str = "pb.Auth";
/// How long it lives.
pub(in crate::policy) const LEASE: &str = "pb.LeaseOptions";
/// Who it is.
pub(in crate::policy) const ALIAS: &str = "logical.Alias";

/// What a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Text,
    Int,
    Uint,
    Bool,
    Texts,
    TextMap,
    Moment,
    Message(&'static str),
    Messages(&'static str),
}

static MESSAGES: [(&str, &[(&str, Field)]); 3] = [
    (
        AUTH,
        &[
            ("lease_options", Field::Message(LEASE)),
            ("internal_data", Field::Text),
            ("display_name", Field::Text),
            ("policies", Field::Texts),
            ("metadata", Field::TextMap),
            ("client_token", Field::Text),
            ("accessor", Field::Text),
            ("period", Field::Int),
            ("num_uses", Field::Int),
            ("entity_id", Field::Text),
            ("alias", Field::Message(ALIAS)),
            ("group_aliases", Field::Messages(ALIAS)),
            ("bound_cidrs", Field::Texts),
            ("token_policies", Field::Texts),
            ("identity_policies", Field::Texts),
            ("explicit_max_ttl", Field::Int),
            ("token_type", Field::Uint),
            ("no_default_policy", Field::Bool),
        ],
    ),
    (
        LEASE,
        &[
            ("TTL", Field::Int),
            ("MaxTTL", Field::Int),
            ("renewable", Field::Bool),
            ("increment", Field::Int),
            ("issue_time", Field::Moment),
        ],
    ),
    (
        ALIAS,
        &[
            ("mount_type", Field::Text),
            ("mount_accessor", Field::Text),
            ("name", Field::Text),
            ("metadata", Field::TextMap),
            ("ID", Field::Text),
            ("namespace_id", Field::Text),
            ("custom_metadata", Field::TextMap),
            ("local", Field::Bool),
        ],
    ),
];

/// Adds the messages to an environment.
///
/// # Errors
/// Only if `cel` comes to declare one of them itself.
pub(in crate::policy) fn declare(env: &mut Env) -> Result<(), DeclarationError> {
    MESSAGES.iter().try_for_each(|(name, fields)| env.add_type(Message { ty: Type::new_struct_type(name), fields }))
}

/// What is wrong with the message literals of a judged tree. Recursive: only after its depth is bounded.
pub(in crate::policy) fn faults(tree: &Expression, found: &mut Vec<String>) {
    if let Expr::Struct(message) = &tree.expr {
        fields(message).for_each(|(field, value)| found.extend(fault(&message.type_name, field, value)));
    }
    each_child(tree, &mut |child| faults(child, found));
}

/// Every message literal of that type in a judged tree. Recursive: only after its depth is bounded.
pub(in crate::policy) fn literals<'t>(tree: &'t Expression, name: &str, found: &mut Vec<&'t StructExpr>) {
    if let Expr::Struct(message) = &tree.expr
        && message.type_name == name
    {
        found.push(message);
    }
    each_child(tree, &mut |child| literals(child, name, found));
}

/// The fields of a literal.
pub(in crate::policy) fn fields(message: &StructExpr) -> impl Iterator<Item = (&str, &Expression)> {
    message.entries.iter().filter_map(|entry| match &entry.expr {
        EntryExpr::StructField(field) => Some((field.field.as_str(), &field.value)),
        EntryExpr::MapEntry(_) => None,
    })
}

/// Calls `see` with each direct part of a node.
pub(in crate::policy) fn each_child<'t>(node: &'t Expression, see: &mut dyn FnMut(&'t Expression)) {
    match &node.expr {
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).for_each(see),
        Expr::Select(select) => see(&select.operand),
        Expr::List(list) => list.elements.iter().for_each(see),
        Expr::Map(map) => map.entries.iter().for_each(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => [&entry.key, &entry.value].into_iter().for_each(&mut *see),
            EntryExpr::StructField(field) => see(&field.value),
        }),
        Expr::Struct(message) => fields(message).for_each(|(_, value)| see(value)),
        Expr::Comprehension(inner) => {
            [&inner.iter_range, &inner.accu_init, &inner.loop_cond, &inner.loop_step, &inner.result]
                .into_iter()
                .for_each(see);
        }
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {}
    }
}

fn field(message: &str, name: &str) -> Option<Field> {
    let (_, fields) = MESSAGES.iter().find(|(known, _)| *known == message)?;
    fields.iter().find(|(known, _)| *known == name).map(|(_, field)| *field)
}

fn fault(message: &str, name: &str, value: &Expression) -> Option<String> {
    let Some(field) = field(message, name) else {
        return Some(format!("no such field `{name}` in `{message}`"));
    };
    let fine = match &value.expr {
        Expr::Literal(literal) => field.takes_literal(literal),
        Expr::List(_) => matches!(field, Field::Texts | Field::Messages(_)),
        Expr::Map(_) => field == Field::TextMap,
        Expr::Struct(inner) => field == known_message(&inner.type_name),
        _ => true,
    };
    (!fine).then(|| format!("field `{name}` of `{message}` takes {}", field.wants()))
}

fn known_message(name: &str) -> Field {
    let known = [AUTH, LEASE, ALIAS].into_iter().find(|known| *known == name);
    known.map_or(Field::Message(""), Field::Message)
}

impl Field {
    const fn wants(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Int => "an int",
            Self::Uint => "a uint, e.g. `2u`",
            Self::Bool => "a bool",
            Self::Texts => "a list of strings",
            Self::TextMap => "a map of strings to strings",
            Self::Moment => "a timestamp",
            Self::Message(name) => name,
            Self::Messages(_) => "a list of `logical.Alias`",
        }
    }

    fn takes_literal(self, literal: &LiteralValue) -> bool {
        match literal {
            LiteralValue::String(_) => self == Self::Text,
            LiteralValue::Int(_) => self == Self::Int,
            LiteralValue::UInt(_) => self == Self::Uint,
            LiteralValue::Boolean(_) => self == Self::Bool,
            LiteralValue::Null => matches!(self, Self::Message(_) | Self::Moment),
            LiteralValue::Bytes(_) | LiteralValue::Double(_) => false,
        }
    }

    fn takes(self, value: &dyn Val) -> bool {
        match self {
            Self::Text => text(value).is_some(),
            Self::Int => value.downcast_ref::<CelInt>().is_some(),
            Self::Uint => value.downcast_ref::<CelUInt>().is_some(),
            Self::Bool => value.downcast_ref::<CelBool>().is_some(),
            Self::Texts => list(value).is_some_and(|items| items.iter().all(|item| text(item.as_ref()).is_some())),
            Self::TextMap => value.downcast_ref::<CelMap<'_>>().is_some_and(|map| {
                map.inner().iter().all(|(key, value)| text(key.inner()).is_some() && text(value.as_ref()).is_some())
            }),
            Self::Moment => value.get_type().kind() == Kind::Timestamp,
            Self::Message(name) => is_message(value, name),
            Self::Messages(name) => {
                list(value).is_some_and(|items| items.iter().all(|item| is_message(item.as_ref(), name)))
            }
        }
    }

    /// A message's field is cleared by `null`.
    const fn is_nullable(self) -> bool {
        matches!(self, Self::Message(_) | Self::Moment)
    }
}

fn text(value: &dyn Val) -> Option<&str> {
    value.downcast_ref::<CelString<'_>>().map(|text| text.inner())
}

fn list<'a, 'v: 'a>(value: &'a (dyn Val + 'v)) -> Option<&'a [Box<dyn Val + 'v>]> {
    value.downcast_ref::<CelList<'_>>().map(CelList::inner)
}

fn is_message(value: &dyn Val, name: &str) -> bool {
    value.downcast_ref::<CelStruct<'_>>().is_some_and(|message| message.name() == name)
}

/// One message, as `cel` makes it.
struct Message {
    ty: Type,
    fields: &'static [(&'static str, Field)],
}

impl StructType for Message {
    fn get_type(&self) -> &Type {
        &self.ty
    }

    fn new_value<'b, 'v>(&self, values: BTreeMap<String, CowVal<'b, 'v>>) -> Result<Box<dyn Val + 'v>, ExecutionError> {
        let mut message = CelStruct::new(self.ty.name().to_owned());
        for (name, value) in values {
            let Some((_, field)) = self.fields.iter().find(|(known, _)| *known == name) else {
                return Err(ExecutionError::no_such_key(&name));
            };
            if field.is_nullable() && value.get_type().kind() == Kind::NullType {
                continue;
            }
            if !field.takes(value.as_ref()) {
                let got = value.get_type().name().to_owned();
                let want = format!("{} for `{name}` of `{}`", field.wants(), self.ty.name());
                return Err(ExecutionError::UnexpectedType { got, want });
            }
            message.add_field_value(name, value);
        }
        Ok(Box::new(message))
    }
}
