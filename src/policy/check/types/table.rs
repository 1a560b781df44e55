//! The types of every function and operator.
//!
//! Decides which argument types each takes and what comes of them. Refuses to know where they are called. A test holds
//! the table against the functions that policies may call.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::signatures::SIGNATURES;
use super::ty::Type;

/// A type in a signature.
#[derive(Clone, Debug, PartialEq)]
enum Shape {
    /// `A` or `B`.
    Any(usize),
    Number,
    /// `A`, where that is one type whose values have an order.
    Ordered,
    Simple(Type<'static>),
    List(Box<Shape>),
    Map(Box<Shape>, Box<Shape>),
    Optional(Box<Shape>),
}

struct Overload {
    args: Vec<Shape>,
    /// Whether the last may come again.
    repeats: bool,
    result: Shape,
}

/// Overloads by name, and whether they are called on a target, which is then the first argument.
static TABLE: LazyLock<HashMap<(bool, &'static str), Vec<Overload>>> = LazyLock::new(|| {
    let mut table: HashMap<_, Vec<Overload>> = HashMap::new();
    for (key, overload) in SIGNATURES.lines().filter_map(signature) {
        table.entry(key).or_default().push(overload);
    }
    table
});

fn signature(line: &'static str) -> Option<((bool, &'static str), Overload)> {
    let (call, result) = line.rsplit_once(" -> ")?;
    let (target, call) = call.split_once(" .").map_or((None, call), |(target, call)| (Some(target), call));
    let (name, args) = call.strip_suffix(')')?.split_once('(')?;
    let repeats = args.ends_with("...");
    let args = split(args.trim_end_matches("..."));
    let args = target.into_iter().chain(args).map(Shape::parse).collect::<Option<_>>()?;
    Some(((target.is_some(), name), Overload { args, repeats, result: Shape::parse(result)? }))
}

/// The parts between commas, those within `<>` left together.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    let parts = text.split(|c: char| {
        depth += i32::from(c == '<') - i32::from(c == '>');
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

impl Shape {
    fn parse(text: &str) -> Option<Self> {
        if let Some((name, inner)) = text.strip_suffix('>').and_then(|text| text.split_once('<')) {
            let mut inner = split(inner).into_iter().map(Self::parse);
            let first = Box::new(inner.next()??);
            return match name {
                "list" => Some(Self::List(first)),
                "optional" => Some(Self::Optional(first)),
                "map" => Some(Self::Map(first, Box::new(inner.next()??))),
                _ => None,
            };
        }
        Some(Self::Simple(match text {
            "A" => return Some(Self::Any(0)),
            "B" => return Some(Self::Any(1)),
            "ordered" => return Some(Self::Ordered),
            "number" => return Some(Self::Number),
            "never" => Type::Never,
            "dyn" => Type::Dyn,
            "bool" => Type::Bool,
            "int" => Type::Int,
            "uint" => Type::Uint,
            "double" => Type::Double,
            "string" => Type::String,
            "bytes" => Type::Bytes,
            "type" => Type::Kind,
            "timestamp" => Type::Timestamp,
            "duration" => Type::Duration,
            _ => return None,
        }))
    }

    /// Whether every value of `ty` has this shape. Notes what `A` and `B` are, and whether that was taken on trust.
    fn takes<'s>(&self, ty: &Type<'s>, bound: &mut Bound<'s>) -> bool {
        match (self, ty) {
            (Self::Ordered, ty) => {
                ty.is_ordered() && Self::Any(0).takes(ty, bound) && {
                    bound.trusting |= ty.is_dyn();
                    true
                }
            }
            (Self::Any(at), ty) => {
                if let Some(known) = bound.any.get_mut(*at) {
                    *known = known.clone().or(ty.clone());
                }
                true
            }
            (_, Type::Never) => true,
            (_, Type::Dyn) => {
                bound.trusting = true;
                true
            }
            (_, Type::OneOf(types)) => types.iter().all(|one| self.takes(one, bound)),
            (Self::Number, ty) => {
                bound.number = bound.number.clone().or(ty.clone());
                ty.is_number()
            }
            (Self::Simple(simple), ty) => simple == ty,
            (Self::List(shape), Type::List(element)) => shape.takes(element, bound),
            (Self::Optional(shape), Type::Optional(value)) => shape.takes(value, bound),
            (Self::Map(key, value), Type::Map(k, v)) => key.takes(k, bound) && value.takes(v, bound),
            (Self::Map(key, value), Type::Object(_)) => {
                key.takes(&Type::String, bound) && value.takes(&Type::Dyn, bound)
            }
            _ => false,
        }
    }

    fn result<'s>(&self, bound: &Bound<'s>) -> Type<'s> {
        match self {
            Self::Ordered => Self::Any(0).result(bound),
            Self::Any(at) => bound.any.get(*at).cloned().unwrap_or(Type::Dyn),
            Self::Number => match &bound.number {
                Type::Never => Type::Dyn,
                number => number.clone(),
            },
            Self::Simple(ty) => ty.clone(),
            Self::List(shape) => Type::list(shape.result(bound)),
            Self::Map(key, value) => Type::map(key.result(bound), value.result(bound)),
            Self::Optional(shape) => Type::optional(shape.result(bound)),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Any(_) => "value".to_owned(),
            Self::List(shape) if **shape == Self::Ordered => "list of one type that has an order".to_owned(),
            Self::Number => "number".to_owned(),
            other => {
                other.result(&Bound { any: [Type::Dyn, Type::Dyn], number: Type::Dyn, trusting: false }).to_string()
            }
        }
    }
}

struct Bound<'s> {
    any: [Type<'s>; 2],
    number: Type<'s>,
    /// Whether something was `dyn` that had to be of a type.
    trusting: bool,
}

/// What a call comes to.
#[derive(Debug, PartialEq)]
pub(super) enum Call<'s> {
    /// A value of that type; whether some argument was taken on trust.
    Fits(Type<'s>, bool),
    /// That argument (the target is the first) can't be of its type; the types that could stand there.
    Wrong { at: usize, given: Type<'s>, takes: Vec<String> },
    /// No such function, or none with so many arguments.
    Unknown,
}

/// Calls `name` with arguments of these types.
pub(super) fn call<'s>(name: &str, member: bool, args: &[Type<'s>]) -> Call<'s> {
    let name = if matches!(name, "_<=_" | "_>_" | "_>=_") { "_<_" } else { name };
    let Some(overloads) = TABLE.get(&(member, name)) else { return Call::Unknown };
    let fitting: Vec<&Overload> = overloads.iter().filter(|overload| overload.counts(args.len())).collect();
    if fitting.is_empty() {
        return Call::Unknown;
    }
    let (mut result, mut trusting) = (Type::Never, false);
    for combination in combinations(args) {
        let mut of_this = Type::Never;
        for overload in &fitting {
            if let Some((ty, trusted)) = overload.call(&combination) {
                of_this = of_this.or(ty);
                trusting |= trusted;
                if !trusted {
                    break;
                }
            }
        }
        if of_this == Type::Never && !fitting.iter().any(|overload| overload.call(&combination).is_some()) {
            return wrong(&fitting, &combination);
        }
        result = result.or(of_this);
    }
    Call::Fits(result, trusting)
}

/// The argument that is to blame: with anything in its place, the call would fit.
fn wrong<'s>(overloads: &[&Overload], args: &[Type<'s>]) -> Call<'s> {
    let takes_at = |at: usize| {
        let mut others = args.to_vec();
        if let Some(arg) = others.get_mut(at) {
            *arg = Type::Dyn;
        }
        let mut names: Vec<String> = vec![];
        for overload in overloads.iter().filter(|overload| overload.call(&others).is_some()) {
            names.extend(
                overload
                    .shape(at)
                    .map(Shape::name)
                    .filter(|name| !names.contains(name))
                    .into_iter()
                    .collect::<Vec<_>>(),
            );
        }
        names
    };
    let found = (0..args.len()).rev().map(|at| (at, takes_at(at))).find(|(_, names)| !names.is_empty());
    let (at, takes) = found.unwrap_or((0, vec![]));
    Call::Wrong { at, given: args.get(at).cloned().unwrap_or(Type::Dyn), takes }
}

impl Overload {
    fn counts(&self, given: usize) -> bool {
        given == self.args.len() || self.repeats && given >= self.args.len()
    }

    fn shape(&self, at: usize) -> Option<&Shape> {
        self.args.get(at).or(if self.repeats { self.args.last() } else { None })
    }

    fn call<'s>(&self, args: &[Type<'s>]) -> Option<(Type<'s>, bool)> {
        let mut bound = Bound { any: [Type::Never, Type::Never], number: Type::Never, trusting: false };
        let fits =
            args.iter().enumerate().all(|(at, ty)| self.shape(at).is_some_and(|shape| shape.takes(ty, &mut bound)));
        fits.then(|| (self.result.result(&bound), bound.trusting))
    }
}

/// Every choice of one alternative for each argument; where there are too many, the arguments as they are.
fn combinations<'s>(args: &[Type<'s>]) -> Vec<Vec<Type<'s>>> {
    let count = args.iter().map(|arg| arg.alternatives().len().max(1)).product::<usize>();
    if count == 1 || count > 64 {
        return vec![args.to_vec()];
    }
    args.iter().fold(vec![vec![]], |all: Vec<Vec<Type<'s>>>, arg| {
        let each = |before: &Vec<Type<'s>>| {
            arg.alternatives()
                .iter()
                .map(|one| before.iter().cloned().chain([one.clone()]).collect())
                .collect::<Vec<_>>()
        };
        if arg.alternatives().is_empty() {
            return all.into_iter().map(|before| before.into_iter().chain([Type::Never]).collect()).collect();
        }
        all.iter().flat_map(each).collect()
    })
}

/// Whether there is a function of that name in a namespace: `math.abs`.
pub(super) fn is_qualified(name: &str) -> bool {
    TABLE.contains_key(&(false, name))
}

#[cfg(test)]
mod tests;
