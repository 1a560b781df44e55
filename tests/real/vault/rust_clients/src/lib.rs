//! What both programs share: their arguments, and what they say.

use serde_json::{Map, Value};

/// `BASE NAMESPACE|- SUBJECT_TOKEN_FILE`.
pub struct Arguments {
    /// Where the server is.
    pub base: String,
    /// The namespace that requests name.
    pub namespace: Option<String>,
    /// The subject token.
    pub jwt: String,
}

impl Arguments {
    /// Those of the process.
    pub fn read() -> Self {
        let mut given = std::env::args().skip(1);
        let mut next = || given.next().expect("BASE NAMESPACE|- SUBJECT_TOKEN_FILE");
        let (base, namespace, file) = (next(), next(), next());
        let jwt = std::fs::read_to_string(file).expect("the subject token").trim().to_owned();
        Self { base, namespace: (namespace != "-").then_some(namespace), jwt }
    }

    /// The subject token with another signature.
    pub fn bad_jwt(&self) -> String {
        format!("{}AAAAAAAA", &self.jwt[..self.jwt.len() - 8])
    }
}

/// One line of JSON.
#[derive(Default)]
pub struct Report(Map<String, Value>);

impl Report {
    /// Of that client.
    pub fn of(client: &str) -> Self {
        let mut report = Self::default();
        report.say("client", client);
        report
    }

    /// What came of a step.
    pub fn say(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// Prints it.
    pub fn print(self) {
        println!("{}", Value::Object(self.0));
    }
}
