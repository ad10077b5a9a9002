//! References to captured evidence, as they are given on the command line: `NAME=SHA256[,url=URL]`, or a file in place of the digest.

use std::path::PathBuf;

use gantral_api::problem::Code;
use gantral_api::wire::{EVIDENCE_ITEMS_MAX, EvidenceItem, text};
use gantral_core::address::{AddressError, EvidenceUrl, admit_name};
use gantral_edge::command::file_digest;

use crate::failure::Failure;

/// A name, what stands behind it, and where the bytes are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reference<'a> {
    name: text::Name,
    what: &'a str,
    url: Option<EvidenceUrl>,
}

/// A file whose content is named in an outcome once an action is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceFile {
    name: text::Name,
    path: PathBuf,
    url: Option<EvidenceUrl>,
}

/// Reads `NAME=SHA256[,url=URL]`, each.
///
/// # Errors
/// The code `evidence_refused` where something must not be sealed; the message never repeats it.
pub fn items(texts: &[String]) -> Result<Vec<EvidenceItem>, Failure> {
    limited(texts)?.iter().map(|text| item(text)).collect()
}

fn item(text: &str) -> Result<EvidenceItem, Failure> {
    let Reference { name, what, url } = reference(text, "SHA256")?;
    let digest = what.strip_prefix("sha256:").unwrap_or(what).parse().map_err(Failure::new)?;
    Ok(EvidenceItem { name, digest, url: url.map(|url| url.to_string()) })
}

/// Reads `NAME=FILE[,url=URL]`, each. No file is looked at yet.
///
/// # Errors
/// As [`items`].
pub fn files(texts: &[String]) -> Result<Vec<EvidenceFile>, Failure> {
    let of = |text: &String| {
        let Reference { name, what, url } = reference(text, "FILE")?;
        Ok(EvidenceFile { name, path: PathBuf::from(what), url })
    };
    limited(texts)?.iter().map(of).collect()
}

impl EvidenceFile {
    /// Returns the reference to what the file holds now.
    ///
    /// # Errors
    /// A file that cannot be read: there is nothing to refer to.
    pub fn item(&self) -> Result<EvidenceItem, Failure> {
        let digest = file_digest(&self.path).map_err(|error| Failure::new(error.to_string()))?;
        let url = self.url.as_ref().map(ToString::to_string);
        Ok(EvidenceItem { name: self.name.clone(), digest: digest.into(), url })
    }
}

fn limited(texts: &[String]) -> Result<&[String], Failure> {
    if texts.len() > EVIDENCE_ITEMS_MAX {
        return Err(Failure::new(format!(
            "an outcome names {EVIDENCE_ITEMS_MAX} pieces of evidence at most"
        )));
    }
    Ok(texts)
}

/// Takes a reference apart. Neither names nor digests have an equals sign or a comma; an address may have both.
fn reference<'a>(text: &'a str, what: &str) -> Result<Reference<'a>, Failure> {
    let form = || Failure::new(format!("write NAME={what} or NAME={what},url=URL"));
    let (name, rest) = text.split_once('=').ok_or_else(form)?;
    let (what, url) = match rest.split_once(",url=") {
        Some((what, url)) => (what, Some(EvidenceUrl::admit(url).map_err(refused)?)),
        None => (rest, None),
    };
    admit_name(name).map_err(refused)?;
    Ok(Reference { name: name.parse().map_err(Failure::new)?, what, url })
}

fn refused(error: AddressError) -> Failure {
    let code = Code::EvidenceRefused;
    Failure::new(error.to_string()).code(code.as_str()).hint(code.remedy())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn a_reference_names_a_digest_and_where_the_bytes_are() {
        let of = |text: &str| items(&[text.to_owned()]).map_err(|error| error.to_string());
        let named = |url: Option<&str>| {
            let (name, digest) = ("log".parse().unwrap(), DIGEST.parse().unwrap());
            Ok(vec![EvidenceItem { name, digest, url: url.map(str::to_owned) }])
        };
        assert_eq!(of(&format!("log={DIGEST}")), named(None));
        assert_eq!(of(&format!("log=sha256:{DIGEST}")), named(None));
        assert_eq!(of(&format!("log={DIGEST},url=s3://b/a=1,url=c")), named(Some("s3://b/a=1,url=c")));
        for wrong in ["log", "log=", "log=00", &format!("log={DIGEST},at=s3://b/k"), &format!("a b={DIGEST}")]
        {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_must_not_be_sealed_is_refused_by_its_code_and_not_repeated() {
        for url in ["https://me:hunter2@host/x", "https://host/x?sig=hunter2"] {
            let error = items(&[format!("log={DIGEST},url={url}")]).unwrap_err();
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
            assert!(format!("{error:?}").contains("evidence_refused"), "{error:?}");
        }
        assert!(items(&[format!("https://me:hunter2@host/x={DIGEST}")]).is_err());
        assert!(items(&vec![format!("log={DIGEST}"); 33]).is_err());
    }

    #[test]
    fn a_file_is_named_by_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let [file] =
            files(&[format!("log={},url=file:///a.log", path.display())]).unwrap().try_into().unwrap();
        assert!(file.item().is_err());
        std::fs::write(&path, b"test").unwrap();
        let item = file.item().unwrap();
        assert_eq!((item.digest.to_string().as_str(), item.url.as_deref()), (DIGEST, Some("file:///a.log")));
    }
}
