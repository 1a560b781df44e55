//! A question to the administration, with the session's token. Decides nothing; refuses to know what is asked.

use serde_json::Value;

use super::server::ApiRequest;
use super::{Session, Stop};
use crate::trust::Method;

impl Session<'_> {
    /// Asks the administration.
    pub(in crate::cli) async fn api(
        &mut self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, Stop> {
        let token = self.token().await?;
        self.server.api(&token, ApiRequest { method, path, query, body }).await
    }
}
