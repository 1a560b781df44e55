use super::*;
use crate::trust::Platforms;

fn made(platform: &Arc<Platform>, claims: &Map<String, Value>) -> (String, Vec<Finding>) {
    let name = IssuerName::new(platform.name()).unwrap();
    let mut catalog = Catalog::default();
    catalog.add(name.clone(), Some(platform));
    let source = Source { name, platform: Arc::clone(platform), catalog };
    let text = file(&source, &TargetName::new("shop").unwrap(), claims).unwrap();
    let findings = findings(&text, &source.catalog).unwrap();
    (text, findings)
}

#[test]
fn the_file_from_every_example_of_every_platform_has_no_finding() {
    let mut tried = 0;
    let mut odd = String::new();
    for platform in Platforms::embedded().iter() {
        for example in platform.examples() {
            let (text, findings) = made(platform, &example.claims);
            if !findings.is_empty() {
                let said: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
                odd.push_str(&format!("== {}, {}\n{text}\n{said}\n", platform.name(), example.name));
            }
            tried += 1;
        }
    }
    assert!(odd.is_empty(), "{odd}");
    assert!(tried >= 15, "{tried}");
}
