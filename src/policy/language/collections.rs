//! Functions over lists and maps that are ours: sets, and what comprehensions over two variables are made of.
//!
//! Decides what they answer. Refuses to bound them: [`cost`](super::super::cost) did.

use std::collections::HashMap;

use cel::ExecutionError;
use cel::common::traits::Iterable;
use cel::common::types::{CelBool, CelInt, CelList, CelMap, CelMapKey, CelUInt};
use cel::common::value::{CowVal, Val};

use super::{ENTRIES, MAP_OF_MAPS, MAP_OF_PAIRS};

type Arguments<'b, 'v> = Vec<CowVal<'b, 'v>>;
type Answer<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;
type Members<'v> = HashMap<CelMapKey<'v>, Box<dyn Val + 'v>>;

/// Whether the first list has an equal of each element of the second.
pub(super) fn contains<'b, 'v>(args: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let (left, right) = two(&args)?;
    Ok(CowVal::owned(CelBool::from(holds_all(left, right))))
}

/// Whether each list has an equal of each element of the other.
pub(super) fn equivalent<'b, 'v>(args: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let (left, right) = two(&args)?;
    Ok(CowVal::owned(CelBool::from(holds_all(left, right) && holds_all(right, left))))
}

/// Whether the lists have an element in common.
pub(super) fn intersects<'b, 'v>(args: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let (left, right) = two(&args)?;
    let mut elements = right.iter();
    let mut met = false;
    while let Some(element) = elements.next() {
        met = met || holds(left, element);
    }
    Ok(CowVal::owned(CelBool::from(met)))
}

/// `[[0, first], [1, second], ..]`.
pub(super) fn entries_of_list<'b, 'v>(args: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let list = first(&args)?;
    let mut elements = iterable(list)?.iter();
    let mut entries: Vec<Box<dyn Val + 'v>> = Vec::new();
    while let Some(element) = elements.next() {
        let index = CelInt::from(i64::try_from(entries.len()).unwrap_or(i64::MAX));
        entries.push(pair(Box::new(index), element.clone_as_boxed()));
    }
    Ok(CowVal::owned(CelList::from(entries)))
}

/// `[[key, value], ..]`, in any order.
pub(super) fn entries_of_map<'b, 'v>(args: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let map = first(&args)?;
    let values = map.as_indexer().ok_or_else(ExecutionError::missing_argument_or_target)?;
    let mut keys = iterable(map)?.iter();
    let mut entries: Vec<Box<dyn Val + 'v>> = Vec::new();
    while let Some(key) = keys.next() {
        entries.push(pair(key.clone_as_boxed(), values.get(key)?.into_owned()));
    }
    Ok(CowVal::owned(CelList::from(entries)))
}

/// The map of those pairs. A key that is there twice is an error, as in a map literal.
pub(super) fn map_of_pairs<'b, 'v>(args: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let mut map = Members::new();
    for entry in elements(args)? {
        let entry = Vec::try_from(entry).map_err(|_| ExecutionError::missing_argument_or_target())?;
        let Ok([key, value]) = <[Box<dyn Val + 'v>; 2]>::try_from(entry) else {
            return Err(ExecutionError::missing_argument_or_target());
        };
        insert(&mut map, CelMapKey::try_from(CowVal::Owned(key))?, value, MAP_OF_PAIRS)?;
    }
    Ok(CowVal::owned(CelMap::from(map)))
}

/// The map of all entries of those maps. A key that is there twice is an error.
pub(super) fn map_of_maps<'b, 'v>(args: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let mut map = Members::new();
    for part in elements(args)? {
        let Some(members) = part.downcast_ref::<CelMap<'_>>() else {
            return Err(ExecutionError::no_such_overload(MAP_OF_MAPS, vec![part.get_type().name().to_owned()]));
        };
        for (key, value) in members.inner() {
            let key = CelMapKey::try_from(CowVal::Owned(key.inner().clone_as_boxed()))?;
            insert(&mut map, key, value.clone_as_boxed(), MAP_OF_MAPS)?;
        }
    }
    Ok(CowVal::owned(CelMap::from(map)))
}

fn insert<'v>(
    map: &mut Members<'v>,
    key: CelMapKey<'v>,
    value: Box<dyn Val + 'v>,
    function: &str,
) -> Result<(), ExecutionError> {
    // `1` and `1u` are one key, as in a map literal.
    let other = match (key.inner().downcast_ref::<CelInt>(), key.inner().downcast_ref::<CelUInt>()) {
        (Some(int), _) => u64::try_from(*int.inner()).ok().map(CelMapKey::from),
        (_, Some(uint)) => i64::try_from(*uint.inner()).ok().map(CelMapKey::from),
        _ => None,
    };
    if map.contains_key(&key) || other.is_some_and(|other| map.contains_key(&other)) {
        return Err(ExecutionError::function_error(function, "a key is there twice"));
    }
    map.insert(key, value);
    Ok(())
}

fn pair<'v>(key: Box<dyn Val + 'v>, value: Box<dyn Val + 'v>) -> Box<dyn Val + 'v> {
    Box::new(CelList::from(vec![key, value]))
}

/// The elements of a list that nobody else needs.
fn elements<'v>(args: Arguments<'_, 'v>) -> Result<Vec<Box<dyn Val + 'v>>, ExecutionError> {
    let list = args.into_iter().next().ok_or_else(ExecutionError::missing_argument_or_target)?.into_owned();
    Vec::try_from(list).map_err(|list: Box<dyn Val + 'v>| {
        ExecutionError::no_such_overload(ENTRIES, vec![list.get_type().name().to_owned()])
    })
}

fn holds_all(list: &dyn Iterable, elements: &dyn Iterable) -> bool {
    let mut elements = elements.iter();
    while let Some(element) = elements.next() {
        if !holds(list, element) {
            return false;
        }
    }
    true
}

fn holds(list: &dyn Iterable, element: &dyn Val) -> bool {
    let mut known = list.iter();
    while let Some(known) = known.next() {
        if known.equals(element) {
            return true;
        }
    }
    false
}

fn two<'a, 'v>(
    args: &'a [CowVal<'_, 'v>],
) -> Result<(&'a (dyn Iterable + 'v), &'a (dyn Iterable + 'v)), ExecutionError> {
    let [left, right] = args else { return Err(ExecutionError::invalid_argument_count(2, args.len())) };
    Ok((iterable(left.as_ref())?, iterable(right.as_ref())?))
}

fn first<'a, 'v>(args: &'a [CowVal<'_, 'v>]) -> Result<&'a (dyn Val + 'v), ExecutionError> {
    args.first().map(CowVal::as_ref).ok_or_else(ExecutionError::missing_argument_or_target)
}

fn iterable<'a, 'v>(value: &'a (dyn Val + 'v)) -> Result<&'a (dyn Iterable + 'v), ExecutionError> {
    value.as_iterable().ok_or_else(ExecutionError::missing_argument_or_target)
}
