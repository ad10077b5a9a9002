//! A form that was refused: what was wrong with it, and what was typed.

/// What a form is shown with. Nothing, until it was refused once.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    problem: Option<String>,
    fields: Vec<(String, String)>,
}

impl Kept {
    /// Keeps the fields of a form that was refused; `problem` says why, and may repeat what was typed.
    pub const fn after(problem: String, fields: Vec<(String, String)>) -> Self {
        Self { problem: Some(problem), fields }
    }

    /// Returns what was wrong.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Returns what was typed into a field.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.fields.iter().find(|(its, _)| its == name).map_or("", |(_, value)| value)
    }

    /// Tells whether a field was sent with a value.
    pub(crate) fn has(&self, name: &str, value: impl std::fmt::Display) -> bool {
        let value = value.to_string();
        self.fields.iter().any(|(its, typed)| its == name && *typed == value)
    }
}
