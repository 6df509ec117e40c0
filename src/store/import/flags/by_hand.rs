//! What is different when somebody says it of one flag or segment?
//!
//! What has been is told by project files only, and a segment that is named by
//! its number may be called otherwise than so far.

use super::super::Files;

impl Files {
    /// The same, where somebody says by hand what flags are.
    pub(in crate::store) fn by_hand(mut self) -> Self {
        let projects = self.projects.iter_mut();
        let flags = projects.flat_map(|(_, project)| &mut project.flags);
        for (_, settings) in flags.flat_map(|own| &mut own.environments) {
            settings.is_by_hand = true;
        }
        self
    }

    /// The same, where segments may be called otherwise than so far.
    pub(in crate::store) fn renaming(mut self) -> Self {
        let projects = self.projects.iter_mut();
        for segment in projects.flat_map(|(_, project)| &mut project.segments) {
            segment.is_rename = true;
        }
        self
    }
}
