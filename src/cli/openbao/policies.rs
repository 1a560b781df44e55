//! Policies of a directory, as they are put to OpenBao: `<namespace>/sys/policies/acl/<name>.hcl` or `.json`.
//!
//! Decides which file is which policy. What is in it has to be good by cambio's own reading first: a document that only
//! looks as if it denied something is worse than none.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::super::CliError;
use crate::identity::{Namespace, PolicyName};
use crate::secrets::acl::AclDocuments;
use crate::secrets::openbao::setup::NamespaceSetup;

/// How deep directories are read, how many files at most, and how large one may be.
const DEPTH: usize = 32;
const FILES: usize = 10_000;
const FILE_BYTES: u64 = 1024 * 1024;

const BELOW: &str = "sys/policies/acl/";

/// Adds the policies below `directory` to the namespaces that they are in.
pub(super) fn add(
    directory: &Path,
    namespaces: &mut BTreeMap<Option<Namespace>, NamespaceSetup>,
) -> Result<(), CliError> {
    AclDocuments::load(directory).map_err(CliError::new)?;
    let mut files = vec![];
    walk(directory, "", DEPTH, &mut files)?;
    files.sort_unstable();
    let mut found = false;
    for file in files {
        let Some((namespace, name)) = place(&file)? else { continue };
        let path = directory.join(&file);
        let failed = |error: std::io::Error| CliError::new(format!("cannot read `{}`: {error}", path.display()));
        if fs::metadata(&path).map_err(failed)?.len() > FILE_BYTES {
            return Err(CliError::new(format!("`{}` is larger than 1 MiB", path.display())));
        }
        let text = fs::read_to_string(&path).map_err(failed)?;
        if text.contains("${") {
            let path = path.display();
            return Err(CliError::new(format!("`{path}` has `${{..}}`, which OpenBao does not know: write it out")));
        }
        found = true;
        let wanted = namespaces.entry(namespace).or_default();
        if wanted.policies.insert(name.clone(), text).is_some() {
            return Err(CliError::new(format!("`{file}` is the policy `{name}` a second time")));
        }
    }
    if !found {
        let directory = directory.display();
        return Err(CliError::new(format!("`{directory}` has no policies at `<namespace>/{BELOW}<name>.hcl`")));
    }
    Ok(())
}

fn walk(directory: &Path, name: &str, depth: usize, files: &mut Vec<String>) -> Result<(), CliError> {
    let failed = |error: std::io::Error| CliError::new(format!("cannot read `{}`: {error}", directory.display()));
    if depth == 0 {
        return Err(CliError::new(format!("`{}` lies too deep", directory.display())));
    }
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Some(own) = entry.file_name().to_str().map(str::to_owned) else { continue };
        // Hidden entries are what ConfigMaps are swapped by.
        if own.starts_with('.') {
            continue;
        }
        let below = if name.is_empty() { own } else { format!("{name}/{own}") };
        let path = entry.path();
        if fs::metadata(&path).map_err(failed)?.is_dir() {
            walk(&path, &below, depth - 1, files)?;
        } else if files.len() == FILES {
            return Err(CliError::new(format!("more than {FILES} files")));
        } else {
            files.push(below);
        }
    }
    Ok(())
}

/// Namespace and name of the policy in `file`; none where it is no policy.
fn place(file: &str) -> Result<Option<(Option<Namespace>, PolicyName)>, CliError> {
    let Some(stem) = file.strip_suffix(".hcl").or_else(|| file.strip_suffix(".json")) else { return Ok(None) };
    let cut = match stem.strip_prefix(BELOW) {
        Some(name) => Some(("", name)),
        None => stem.split_once(&format!("/{BELOW}")),
    };
    let Some((namespace, name)) = cut else {
        if stem == "sys/policies/acl" || stem.ends_with("/sys/policies/acl") {
            return Err(CliError::new(format!("`{file}` holds several policies: give each its own file to put them")));
        }
        return Ok(None);
    };
    let odd = |error: &dyn std::fmt::Display| CliError::new(format!("`{file}`: {error}"));
    let namespace = match namespace {
        "" => None,
        text => Some(Namespace::new(text).map_err(|error| odd(&error))?),
    };
    let name = PolicyName::new(name).map_err(|error| odd(&error))?;
    Ok(Some((namespace, name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("sys/policies/acl/jobs.hcl", Some((None, "jobs")))]
    #[case("a/b/sys/policies/acl/jobs/global.json", Some((Some("a/b"), "jobs/global")))]
    #[case("a/auth/jwt/cel/role/x.json", None)]
    #[case("vault.yaml", None)]
    fn a_file_is_the_policy_of_its_path(#[case] file: &str, #[case] expected: Option<(Option<&str>, &str)>) {
        let found = place(file).unwrap();
        let found = found.as_ref().map(|(namespace, name)| (namespace.as_ref().map(Namespace::as_str), name.as_str()));
        assert_eq!(found, expected);
    }

    #[rstest]
    #[case("sys/policies/acl/Jobs.hcl")]
    #[case("sys/policies/acl/root.hcl")]
    #[case("a b/sys/policies/acl/jobs.hcl")]
    #[case("a/sys/policies/acl.hcl")]
    fn what_would_be_put_elsewhere_is_refused(#[case] file: &str) {
        assert!(place(file).is_err());
    }
}
