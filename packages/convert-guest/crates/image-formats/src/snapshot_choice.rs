//! Which internal snapshot is read in the place of an image.

use crate::facts::Snapshot;

/// How a snapshot is named. Ids and names are bytes, as the image has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotChoice<'a> {
    /// By its id.
    Id(&'a [u8]),
    /// By its name.
    Name(&'a [u8]),
    /// By both, which must be those of one snapshot.
    Both {
        /// Its id.
        id: &'a [u8],
        /// Its name.
        name: &'a [u8],
    },
    /// By its id, or else by its name.
    Either(&'a [u8]),
}

impl<'a> SnapshotChoice<'a> {
    /// What is looked for first, and what else when nothing is found.
    pub(crate) fn attempts(self) -> [Option<Self>; 2] {
        match self {
            Self::Either(text) => [Some(Self::Id(text)), Some(Self::Name(text))],
            other => [Some(other), None],
        }
    }

    /// Whether a snapshot is the one.
    pub(crate) fn names(self, snapshot: &Snapshot) -> bool {
        match self {
            Self::Id(id) => snapshot.id == id,
            Self::Name(name) => snapshot.name == name,
            Self::Both { id, name } => snapshot.id == id && snapshot.name == name,
            Self::Either(text) => snapshot.id == text || snapshot.name == text,
        }
    }

    /// For messages.
    pub(crate) fn text(self) -> &'a [u8] {
        match self {
            Self::Id(text) | Self::Name(text) | Self::Either(text) => text,
            Self::Both { name, .. } => name,
        }
    }
}
