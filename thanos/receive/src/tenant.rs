//! Whose samples they are. A tenant's name comes from a header, so it is checked, and there are only so many.

use std::collections::BTreeSet;

use parking_lot::RwLock;

/// Each tenant costs metrics and an announced label set.
const TENANTS_MAX: usize = 100;
const NAME_BYTES_MAX: usize = 150;

/// Whether a name can be a tenant's: Thanos refuses path separators, we ask for what Mimir documents as safe.
///
/// # Errors
/// A sentence.
pub(crate) fn check(name: &str) -> Result<(), String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "!-_.*'()".contains(c);
    if name.is_empty()
        || name.len() > NAME_BYTES_MAX
        || name == "."
        || name == ".."
        || !name.chars().all(fine)
    {
        return Err(format!(
            "{:?} is not a tenant: use 1 to {NAME_BYTES_MAX} letters, digits or any of !-_.*'()",
            name.chars().take(40).collect::<String>()
        ));
    }
    Ok(())
}

/// The tenants that have written.
#[derive(Debug, Default)]
pub(crate) struct Tenants(RwLock<BTreeSet<String>>);

impl Tenants {
    /// Lets a tenant in; `false` when there are too many.
    pub(crate) fn admit(&self, name: &str) -> bool {
        if self.0.read().contains(name) {
            return true;
        }
        let mut all = self.0.write();
        all.len() < TENANTS_MAX && all.insert(name.to_owned())
    }
}
