//! The Dockerfile.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path};

use super::real_part::{installed, real_dir};
use super::{files_below, is_pinned, repository, run, said, succeeds, text};

/// The instructions of the Dockerfile, continued lines joined.
fn instructions() -> Vec<String> {
    let text = text("deploy/Dockerfile");
    let lines: String = text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    lines.replace("\\\n", " ").lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn the_image_has_nothing_but_cambio_and_runs_as_nobody() {
    let all = instructions();
    let bases: Vec<_> = all.iter().filter_map(|line| line.strip_prefix("FROM ")).collect();
    let (last, builders) = bases.split_last().unwrap();
    assert_eq!(*last, "scratch");
    assert!(builders.iter().all(|base| is_pinned(base.split(' ').next().unwrap())), "{builders:?}");
    let image = &all[all.iter().rposition(|line| line.starts_with("FROM")).unwrap()..];
    let has = |line: &str| image.iter().any(|found| found == line);
    assert!(has("USER 65532:65532") && has("VOLUME /data") && has("EXPOSE 8200 9200"), "{image:?}");
    let copied: Vec<_> = image.iter().filter(|line| line.starts_with("COPY") || line.starts_with("ADD")).collect();
    assert_eq!(copied, ["COPY --from=build /rootfs /"]);
    assert!(has(&format!("ARG VERSION={}", env!("CARGO_PKG_VERSION"))), "the label tells the version of Cargo.toml");
    let build = all.iter().find(|line| line.contains("cargo build")).unwrap();
    assert!(build.contains("--locked") && build.contains("ca-certificates.crt"), "{build}");
}

/// Whatever `include_str!` and its like read has to be in the build's context: otherwise the image can't be built, and no
/// other test would say so.
#[test]
fn the_image_is_built_from_all_that_the_build_reads() {
    let all = instructions();
    let copied: BTreeSet<String> = all
        .iter()
        .filter(|line| line.starts_with("COPY ") && !line.contains("--from"))
        .flat_map(|line| {
            let words: Vec<_> = line.split(' ').skip(1).map(str::to_owned).collect();
            words[..words.len() - 1].to_vec()
        })
        .collect();
    let ignore = text("deploy/Dockerfile.dockerignore");
    let (first, let_in) = ignore.split_once('\n').unwrap();
    assert_eq!(first, "*");
    let let_in: BTreeSet<String> = let_in.lines().map(|line| line.strip_prefix('!').unwrap().to_owned()).collect();
    assert_eq!(copied, let_in, "the Dockerfile and its .dockerignore tell of the same files");

    let mut sources = vec![];
    files_below(&repository("src"), &mut sources);
    let mut read = BTreeSet::new();
    // What only tests read is not there, and need not be.
    for source in sources
        .into_iter()
        .filter(|path| path.to_str().is_some_and(|path| path.ends_with(".rs") && !path.ends_with("tests.rs")))
    {
        let code = fs::read_to_string(&source).unwrap();
        let code = code.split("#[cfg(test)]").next().unwrap();
        for mark in ["include_str!(\"", "include_bytes!(\"", "include!(\"", "migrate!(\""] {
            let names = code.split(mark).skip(1).filter_map(|rest| rest.split('"').next());
            read.extend(names.map(|name| within_repository(&source.parent().unwrap().join(name))));
        }
    }
    assert!(read.len() > 20, "{read:?}");
    for file in read {
        let is_copied = copied.iter().any(|copied| file == *copied || file.starts_with(&format!("{copied}/")));
        assert!(is_copied, "the build reads `{file}`, which the Dockerfile does not copy");
    }
}

/// A path without its `..`, from the top of the repository.
fn within_repository(path: &Path) -> String {
    let mut parts: Vec<&str> = vec![];
    for part in path.strip_prefix(repository("")).unwrap().components() {
        match part {
            Component::ParentDir => drop(parts.pop().unwrap()),
            part => parts.push(part.as_os_str().to_str().unwrap()),
        }
    }
    parts.join("/")
}

#[test]
fn hadolint_has_nothing_to_say() {
    if !installed("python") {
        return;
    }
    let hadolint = real_dir().join("venv/bin/hadolint");
    succeeds(&hadolint, &["--failure-threshold", "style", "deploy/Dockerfile"], "");
    let moving = text("deploy/Dockerfile").replace("rust:1.95.0-alpine3.23", "rust:latest");
    let output = run(&hadolint, &["-"], &moving);
    assert!(!output.status.success() && said(&output).contains("DL3007"), "{}", said(&output));
}
