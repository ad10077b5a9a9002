//! A log that grows again from its ledger, beside the objects that it has: equal, or not this ledger's.

use std::collections::BTreeMap;

use gantral_evidence::log::leaf::LeafKind;
use gantral_evidence::log::tree::TreeHead;
use gantral_store::{CommittedArtifact, LogRow};

use crate::objects::{Object, ReadObjects};
use crate::sequencer::{CHECKPOINT, leaf, leaf_of_envelope, tree_of};
use crate::tile::PARTIAL;
use crate::tree::Edge;

/// Reads from the envelope of an instance's artifact whether its chain ends with it, and the first eight bytes of the id of who signed it.
///
/// # Errors
/// What is wrong with it.
pub fn told(envelope: &[u8]) -> Result<(bool, [u8; 8]), String> {
    let leaf = leaf_of_envelope(LeafKind::Artifact, envelope)?;
    Ok((leaf.terminal, leaf.issuer))
}

/// A log on its way from nothing to its newest tree.
#[derive(Debug)]
pub struct Regrowth<O> {
    objects: O,
    edge: Edge,
    /// The newest bytes of each tile that is not full, by its place.
    partial: BTreeMap<String, Object>,
}

impl<O: ReadObjects> Regrowth<O> {
    /// Begins with the objects that the log has.
    pub fn new(objects: O) -> Self {
        Self { objects, edge: Edge::default(), partial: BTreeMap::new() }
    }

    /// Takes what the log took next, and returns the objects that will never change any more.
    ///
    /// # Errors
    /// An artifact that makes no leaf; the name of an object that the log does not have as it should be.
    pub fn take(&mut self, artifacts: &[CommittedArtifact]) -> Result<Vec<Object>, String> {
        let leaves = artifacts.iter().map(leaf).collect::<Result<Vec<_>, _>>()?;
        let mut whole = Vec::new();
        for object in self.edge.append(&leaves).map_err(|error| error.to_string())? {
            match object.name.split_once(PARTIAL) {
                Some((place, _)) => _ = self.partial.insert(place.to_owned(), object),
                None => {
                    self.partial.remove(&object.name);
                    self.has(&object)?;
                    whole.push(object);
                }
            }
        }
        Ok(whole)
    }

    /// Ends where the ledger says that the log ends, and returns the objects that may still change: tiles that are not full, at every width
    /// at which they were published, and the checkpoint.
    ///
    /// # Errors
    /// Another root; the name of an object that the log does not have as it should be; a checkpoint that is further than the ledger.
    pub fn finish(self, row: &LogRow) -> Result<Vec<Object>, String> {
        if self.edge.head() != (TreeHead { size: row.size, root: row.root }) {
            let root = self.edge.head().root;
            return Err(format!("its artifacts make the root {root}, and the ledger says {}", row.root));
        }
        let published = self.objects.read(CHECKPOINT).map_err(|error| error.to_string())?;
        if let Some(tree) = published.as_deref().and_then(tree_of)
            && tree.size > row.size
        {
            return Err(format!("it has published {} leaves, and the ledger knows {}", tree.size, row.size));
        }
        let mut objects = Vec::new();
        for (place, object) in &self.partial {
            self.has(object)?;
            objects.extend(self.earlier(place, object)?);
            objects.push(object.clone());
        }
        objects.push(Object { name: CHECKPOINT.to_owned(), bytes: row.checkpoint.clone().into_bytes() });
        Ok(objects)
    }

    /// Returns the same tile as it was published when it was narrower.
    fn earlier(&self, place: &str, object: &Object) -> Result<Vec<Object>, String> {
        let width = object.name.split_once(PARTIAL).and_then(|(_, width)| width.parse::<usize>().ok());
        let width = width.unwrap_or_default();
        let unit = object.bytes.len().checked_div(width).unwrap_or_default();
        let mut found = Vec::new();
        for narrower in 1..width {
            let name = format!("{place}{PARTIAL}{narrower}");
            let Some(bytes) = self.objects.read(&name).map_err(|error| error.to_string())? else { continue };
            if object.bytes.get(..unit.saturating_mul(narrower)) != Some(bytes.as_slice()) {
                return Err(altered(&name));
            }
            found.push(Object { name, bytes });
        }
        Ok(found)
    }

    /// Checks that the log has an object as it should be.
    fn has(&self, object: &Object) -> Result<(), String> {
        match self.objects.read(&object.name).map_err(|error| error.to_string())? {
            Some(bytes) if bytes == object.bytes => Ok(()),
            Some(_) => Err(altered(&object.name)),
            None => Err(format!("its object `{}` is not there", object.name)),
        }
    }
}

fn altered(name: &str) -> String {
    format!("its object `{name}` is not what its artifacts make")
}

#[cfg(test)]
mod tests;
