//! Error responses of the emulated services.

use serde_json::json;

use super::wire::{HttpResponse, json_response};

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ErrorResponse {
    /// The HTTP status.
    pub status: u16,
    /// The exception.
    pub code: String,
    /// The message.
    pub message: String,
    /// Lambda's reason for a throttle.
    pub reason: Option<String>,
}

impl ErrorResponse {
    /// Creates an error without a reason.
    pub(super) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), reason: None }
    }

    /// Creates Lambda's 429 with this reason.
    pub(super) fn throttled(reason: &str) -> Self {
        Self {
            reason: Some(reason.to_owned()),
            ..Self::new(429, "TooManyRequestsException", "Rate Exceeded.")
        }
    }

    /// Creates Lambda's 400 for an invalid parameter.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidParameterValueException", message)
    }

    /// Creates the 400 for a value that violates a constraint of the service model.
    pub(super) fn constraint(value: impl std::fmt::Display, at: &str, rule: &str) -> Self {
        let message = format!(
            "1 validation error detected: Value '{value}' at '{at}' failed to satisfy constraint: {rule}"
        );
        Self::new(400, "ValidationException", message)
    }

    /// Creates Lambda's 409.
    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(409, "ResourceConflictException", message)
    }

    /// Creates Lambda's 404.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "ResourceNotFoundException", message)
    }

    /// Returns the text of [`super::Invocation::refusal`].
    pub(super) fn label(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{}: {reason}", self.code),
            None => self.code.clone(),
        }
    }

    /// Returns Lambda's response.
    pub(super) fn response(&self, request_id: &str) -> HttpResponse {
        let fault = if self.status >= 500 { "Service" } else { "User" };
        // The key is `Message` for 403 and 404, otherwise `message`, as on Lambda.
        let mut body = match self.status {
            403 => json!({ "Message": self.message }),
            404 => json!({ "Type": fault, "Message": self.message }),
            _ => json!({ "Type": fault, "message": self.message }),
        };
        let mut headers = vec![("x-amzn-errortype", self.code.as_str()), ("x-amzn-requestid", request_id)];
        if let Some(reason) = &self.reason {
            body["Reason"] = json!(reason);
            headers.push(("retry-after", "1"));
        }
        json_response(self.status, &body, &headers)
    }
}
