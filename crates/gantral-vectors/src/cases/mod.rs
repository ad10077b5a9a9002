//! Every bundle of the vectors, by what it is about.

mod chain;
mod copies;
pub mod cross;
mod form;
mod keys;
mod log;
mod mirror;
mod people;
mod required;
mod rules;
mod stories;

use crate::case::Case;

/// Returns every case, in ascending order of the numbers.
pub fn all() -> Vec<Case> {
    let areas = [
        stories::all,
        copies::all,
        form::all,
        chain::all,
        keys::all,
        rules::all,
        people::all,
        required::all,
        log::all,
        mirror::all,
    ];
    areas.iter().flat_map(|area| area()).collect()
}
