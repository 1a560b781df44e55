//! The table against the functions that policies may call, and against itself.

use rstest::rstest;

use super::*;
use crate::policy::language::FUNCTIONS;

#[test]
fn every_function_has_types_for_each_number_of_its_arguments() {
    // No source can spell a name with `@`.
    for function in FUNCTIONS.iter().filter(|function| !function.name.contains('@')) {
        let overloads = TABLE.get(&(function.member, function.name));
        let overloads = overloads.unwrap_or_else(|| panic!("`{}` has no types in signatures.rs", function.name));
        for given in function.least..=function.most {
            let all = given + usize::from(function.member);
            let counts = overloads.iter().any(|overload| overload.counts(all));
            assert!(counts, "`{}` with {given} arguments has no types in signatures.rs", function.name);
        }
    }
}

#[test]
fn every_line_of_the_signatures_is_read() {
    for line in SIGNATURES.lines().filter(|line| !line.is_empty()) {
        assert!(signature(line).is_some(), "{line}");
    }
}

#[rstest]
#[case("_+_", false, vec![Type::Int, Type::Int], Type::Int, false)]
#[case("_+_", false, vec![Type::list(Type::Never), Type::list(Type::String)], Type::list(Type::String), false)]
#[case("_>=_", false, vec![Type::Int, Type::Double], Type::Bool, false)]
#[case("size", false, vec![Type::OneOf(vec![Type::String, Type::list(Type::String)])], Type::Int, false)]
#[case("orValue", true, vec![Type::optional(Type::String), Type::String], Type::String, false)]
#[case("math.greatest", false, vec![Type::Int, Type::Int, Type::Int], Type::Int, false)]
#[case("sort", true, vec![Type::list(Type::Never)], Type::list(Type::Never), false)]
#[case("sort", true, vec![Type::list(Type::String)], Type::list(Type::String), false)]
#[case("sort", true, vec![Type::list(Type::Dyn)], Type::list(Type::Dyn), true)]
#[case("startsWith", true, vec![Type::Dyn, Type::String], Type::Bool, true)]
#[case("dyn", false, vec![Type::Int], Type::Dyn, false)]
fn what_fits_has_a_type(
    #[case] name: &str,
    #[case] member: bool,
    #[case] args: Vec<Type<'static>>,
    #[case] ty: Type<'static>,
    #[case] trusting: bool,
) {
    assert_eq!(call(name, member, &args), Call::Fits(ty, trusting));
}

#[rstest]
#[case("startsWith", true, vec![Type::String, Type::Int], 1, "string")]
#[case("split", true, vec![Type::list(Type::String), Type::String], 0, "string")]
#[case("size", false, vec![Type::OneOf(vec![Type::String, Type::Null])], 0, "string")]
#[case("join", true, vec![Type::list(Type::Int)], 0, "list<string>")]
#[case("sort", true, vec![Type::list(Type::Int.or(Type::String))], 0, "list of one type that has an order")]
#[case("sort", true, vec![Type::list(Type::list(Type::Int))], 0, "list of one type that has an order")]
#[case("sort", true, vec![Type::list(Type::Null)], 0, "list of one type that has an order")]
fn what_does_not_fit_names_the_argument(
    #[case] name: &str,
    #[case] member: bool,
    #[case] args: Vec<Type<'static>>,
    #[case] wrong: usize,
    #[case] wanted: &str,
) {
    match call(name, member, &args) {
        Call::Wrong { at, takes, .. } => {
            assert_eq!(at, wrong);
            assert!(takes.iter().any(|one| one == wanted), "{takes:?}");
        }
        other => panic!("{other:?}"),
    }
}
