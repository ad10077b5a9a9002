//! Reading heads from the newest to the first, and what they name.

use std::collections::{BTreeMap, BTreeSet};

use gantral_core::digest::Digest;
use gantral_core::ids::TenantId;

use super::{Contents, FaultKind};
use crate::layout::{
    HEADS, Head, NamedObject, SEGMENTS, Segment, folder, head_name, number_of, segment_name,
};
use crate::objects::{Archive, Found, StorageError};

/// Reads what an archive has of a tenant, and finds what is missing, was changed, or is named by nothing.
pub(super) async fn contents(archive: &Archive, tenant: TenantId) -> Result<Contents, StorageError> {
    let folder = folder(&tenant);
    let listed: BTreeSet<String> = archive.list(&folder).await?.into_iter().collect();
    let mut contents = Contents {
        tenant,
        folder,
        heads: BTreeMap::new(),
        found_heads: BTreeMap::new(),
        ends: BTreeMap::new(),
        segments: 0,
        artifacts: Vec::new(),
        objects: BTreeMap::new(),
        findings: Vec::new(),
    };
    heads(archive, &listed, &mut contents).await?;
    objects(archive, &listed, &mut contents).await?;
    unnamed(&listed, &mut contents);
    Ok(contents)
}

/// Reads the heads, each as the one after it names it.
async fn heads(
    archive: &Archive,
    listed: &BTreeSet<String>,
    contents: &mut Contents,
) -> Result<(), StorageError> {
    let numbers = |folder: &str| listed.iter().filter_map(|name| number_of(name, folder)).max();
    let (last_head, last_segment) = (numbers(HEADS), numbers(SEGMENTS));
    let Some(mut number) = last_head.max(last_segment) else { return Ok(()) };
    if last_head < last_segment {
        contents.found(
            FaultKind::Missing,
            false,
            &head_name(number),
            "there is a segment and not its head: deleted, or its archiver ended in the middle of the step",
        );
        let Some(before) = last_head else { return Ok(()) };
        // Between them at most one step is unfinished; more are gone.
        for missing in before.saturating_add(1)..number {
            contents.found(FaultKind::Missing, true, &head_name(missing), "the head is not there");
        }
        number = before;
    }
    let mut expected: Option<NamedObject> = None;
    loop {
        let name = head_name(number);
        let found = match &expected {
            Some(named) => recorded(archive, listed, contents, named).await?,
            None => current(archive, contents, &name).await?,
        };
        expected = None;
        let as_found =
            found.as_ref().map(|found| NamedObject::of(name.clone(), &found.bytes, found.version.clone()));
        match found.map(|found| Head::parse(&found.bytes)) {
            Some(Ok(head)) if head.segment == number && head.tenant == contents.tenant.as_str() => {
                expected.clone_from(&head.previous);
                contents.heads.insert(number, head);
                contents.found_heads.extend(as_found.map(|found| (number, found)));
            }
            Some(Ok(_)) => {
                contents.found(FaultKind::Altered, true, &name, "it is the head of another step or tenant");
            }
            Some(Err(error)) => contents.found(FaultKind::Altered, true, &name, error.to_string()),
            None => {}
        }
        let Some(before) = number.checked_sub(1) else { return Ok(()) };
        number = before;
    }
}

/// Reads an object that nothing read so far names.
async fn current(
    archive: &Archive,
    contents: &mut Contents,
    name: &str,
) -> Result<Option<Found>, StorageError> {
    let found = archive.read(&format!("{}/{name}", contents.folder), None).await?;
    if found.is_none() {
        contents.found(FaultKind::Missing, true, name, "the head is not there");
    }
    Ok(found)
}

/// Reads an object as a head names it: the version that was recorded, with the bytes that were written.
async fn recorded(
    archive: &Archive,
    listed: &BTreeSet<String>,
    contents: &mut Contents,
    named: &NamedObject,
) -> Result<Option<Found>, StorageError> {
    let path = format!("{}/{}", contents.folder, named.name);
    let is_it = |found: &Found| Digest::of(&found.bytes).to_hex() == named.sha256;
    let found = match &named.version {
        // A version that the storage never gave is no error of the storage's: the object is not there.
        Some(version) => match archive.read(&path, Some(version)).await {
            Ok(found) => found,
            Err(StorageError::Storage(_)) => None,
            Err(error) => return Err(error),
        },
        None => None,
    };
    let found = match found {
        Some(found) => Some(found),
        None => archive.read(&path, None).await?,
    };
    let Some(found) = found else {
        contents.found(FaultKind::Missing, true, &named.name, "a head names it, and it is not there");
        return Ok(None);
    };
    if !is_it(&found) {
        contents.found(FaultKind::Altered, true, &named.name, "it has other bytes than were written");
        return Ok(None);
    }
    if !listed.contains(&named.name) {
        let what = "it is deleted; the version that was recorded is still there, and whole";
        contents.found(FaultKind::Hidden, false, &named.name, what);
    }
    Ok(Some(found))
}

/// Reads what the heads name.
async fn objects(
    archive: &Archive,
    listed: &BTreeSet<String>,
    contents: &mut Contents,
) -> Result<(), StorageError> {
    let heads = contents.heads.clone();
    let (mut next, mut position, mut whole) = (0, 0, true);
    for (number, head) in heads {
        whole &= number == next;
        next = number.saturating_add(1);
        for named in &head.objects {
            let found = recorded(archive, listed, contents, named).await?;
            if number_of(&named.name, SEGMENTS).is_none() {
                contents.objects.extend(found.map(|found| (named.name.clone(), found.bytes)));
                continue;
            }
            let segment = match found.map(|found| Segment::parse(&found.bytes)) {
                Some(Ok(segment)) => segment,
                Some(Err(error)) => {
                    contents.found(FaultKind::Altered, true, &named.name, error.to_string());
                    whole = false;
                    continue;
                }
                None => {
                    whole = false;
                    continue;
                }
            };
            contents.segments = contents.segments.saturating_add(1);
            if segment.segment != number || segment.tenant != contents.tenant {
                let what = "it is the segment of another step or tenant";
                contents.found(FaultKind::Contradiction, true, &named.name, what);
                whole = false;
            } else if whole && segment.position != position {
                let what = "it does not begin where the one before it ends";
                contents.found(FaultKind::Contradiction, true, &named.name, what);
                whole = false;
            }
            if whole {
                position = segment.end();
                contents.ends.insert(number, position);
                contents.artifacts.extend(segment.artifacts);
            }
        }
    }
    if !whole {
        let from = contents.artifacts.len();
        let what = format!(
            "what the log has from leaf {from} on was not verified: something before it is missing or was changed"
        );
        contents.found(FaultKind::Behind, true, "segments", what);
    }
    Ok(())
}

/// Finds objects that no head names.
fn unnamed(listed: &BTreeSet<String>, contents: &mut Contents) {
    let mut named: BTreeSet<String> = contents.heads.keys().map(|number| head_name(*number)).collect();
    for head in contents.heads.values() {
        named.extend(head.objects.iter().map(|object| object.name.clone()));
    }
    let faulty: BTreeSet<String> = contents.findings.iter().map(|finding| finding.object.clone()).collect();
    for name in listed {
        let is_faulty = faulty.contains(&format!("{}/{name}", contents.folder));
        // The segment of a head that is missing is named by that.
        let of_missing = number_of(name, SEGMENTS).is_some_and(|number| {
            faulty.contains(&format!("{}/{}", contents.folder, head_name(number)))
                && *name == segment_name(number)
        });
        if !named.contains(name) && !is_faulty && !of_missing {
            let what = "no head names it: its archiver ended in the middle of a step, or it was put by somebody else";
            contents.found(FaultKind::Unnamed, false, name, what);
        }
    }
}
