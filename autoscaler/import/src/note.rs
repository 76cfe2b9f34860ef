//! What is told about a field: what did not come along, what was guessed, what is otherwise.

/// How much a note weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoteKind {
    /// The policy does not do what the field asked for.
    Lost,
    /// The policy does something that was guessed; somebody who knows has to look at it.
    Guess,
    /// The policy does it, in a way that is worth knowing.
    Differs,
}

impl NoteKind {
    /// Whether somebody has to act before the policy does what the object did.
    #[must_use]
    pub fn asks(self) -> bool {
        self != Self::Differs
    }

    fn word(self) -> &'static str {
        match self {
            Self::Lost => "not carried over",
            Self::Guess => "guessed",
            Self::Differs => "differs",
        }
    }
}

/// One thing to tell: a field of the object that was read, what became of it and why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How much it weighs.
    pub kind: NoteKind,
    /// Path from the object's root, for example `spec.metrics[0].resource`.
    pub field: String,
    /// What became of it, and why.
    pub message: String,
    /// What to do.
    pub cure: String,
}

impl Note {
    /// The policy does not do it.
    pub(crate) fn lost(
        field: impl Into<String>,
        message: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self { kind: NoteKind::Lost, field: field.into(), message: message.into(), cure: cure.into() }
    }

    /// The policy does what was guessed.
    pub(crate) fn guess(
        field: impl Into<String>,
        message: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self { kind: NoteKind::Guess, field: field.into(), message: message.into(), cure: cure.into() }
    }

    /// The policy does it in its own way.
    pub(crate) fn differs(
        field: impl Into<String>,
        message: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self { kind: NoteKind::Differs, field: field.into(), message: message.into(), cure: cure.into() }
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}; {}", self.kind.word(), self.field, self.message, self.cure)
    }
}
